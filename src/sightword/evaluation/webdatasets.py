"""Labelled tars: CLIP_benchmark's webdataset layout, and a single tar whose json says the class and split."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.labelled import PLAIN, Benchmark, LabelledSet, Labels, benchmark_of
from sightword.evaluation.tars import IMAGES, TarSamples
from sightword.evaluation.textfiles import read_lines

TEMPLATES = "zeroshot_classification_templates.txt"
Place = tuple[TarSamples, str]  # a sample: its tar and its key there


def is_clip_benchmark(root: Path) -> bool:
    """Whether some split's folder holds `nshards.txt` or `0.tar`."""
    return bool(_splits(root))


def open_clip_benchmark(root: Path) -> Benchmark:
    """A folder as CLIP_benchmark exports it.

    `SPLIT/nshards.txt`, `SPLIT/0.tar` ..., `classnames.txt`, `zeroshot_classification_templates.txt` with
    `{c}`, `dataset_type.txt`; in the tars a picture and `.cls` (the class as a number), or for retrieval
    `.txt` (a caption a line). Beside them may lie `synonyms.txt` (one line a class, separated by commas).

    Raises:
        SightwordError: when a file is missing, broken or does not fit the others.
    """
    kind = (read_lines(root / "dataset_type.txt") or [""])[0].lower()
    if kind not in ("", "classification", "retrieval"):
        raise SightwordError(f"'{root}' is of type {kind}; only classification and retrieval can be scored")
    sets = {split: _split(root, split, kind) for split in _splits(root)}
    found = benchmark_of(root.resolve().name, sets)
    if found is None:
        raise SightwordError(f"'{root}' holds only a train split; wanted {root.name}/test/0.tar too")
    return found


def open_labelled_tar(path: Path) -> Benchmark:
    """One tar of pictures with `.json` (`class_name`, optional `split`), or with captions in `.txt`.

    `classnames.txt` and templates are not needed; samples without a split count as test.
    """
    tar = TarSamples(path)
    facts = {key: _json(tar, key) for _, key in _pictures(tar, "json")}
    splits = defaultdict(list)
    for key, fact in facts.items():
        splits[str(fact.get("split", "test"))].append(key)
    named = bool(facts) and all("class_name" in fact for fact in facts.values())
    names = sorted({str(fact["class_name"]) for fact in facts.values()}) if named else []
    sets = {}
    for split, keys in splits.items():
        classes = Labels.from_names((str(facts[key]["class_name"]) for key in keys), names) if named else None
        sets[split] = _labelled(path.name.split(".")[0], split, [(tar, key) for key in keys], classes)
    found = benchmark_of(path.name.split(".")[0], sets)
    if found is None:
        raise SightwordError(f"'{path}' holds no pictures to test on; wanted some whose split is not train")
    return found


def _splits(root: Path) -> list[str]:
    folders = sorted(part for part in root.iterdir() if part.is_dir())
    return [part.name for part in folders if (part / "nshards.txt").is_file() or (part / "0.tar").is_file()]


def _split(root: Path, split: str, kind: str) -> LabelledSet:
    places = [place for tar in _shards(root / split) for place in _pictures(tar, "cls")]
    if not places:
        raise SightwordError(f"no pictures in the tars of '{root / split}'")
    name = root.resolve().name
    labelled = all("cls" in tar.samples[key] for tar, key in places)
    if kind == "retrieval" or (not kind and not labelled):
        return _labelled(name, split, places, None)
    names = read_lines(root / "classnames.txt")
    if not names:
        raise SightwordError(f"no classnames.txt in '{root}'; write the names there, one a line, in order")
    classes = Labels(tuple(names), np.array([_class(place, names) for place in places], dtype=np.int64))
    return _labelled(name, split, places, classes, root)


def _pictures(tar: TarSamples, label: str) -> list[Place]:
    """The samples that have a picture.

    Raises:
        SightwordError: when one has none, although it has a label.
    """
    bare = [key for key, files in tar.samples.items() if label in files and not tar.image_of(key)]
    if bare:
        raise SightwordError(
            f"{tar.path}: '{bare[0]}' and {len(bare) - 1} others have .{label} but no picture;"
            f" wanted one as {', '.join(IMAGES)}"
        )
    return [(tar, key) for key in tar.samples if tar.image_of(key)]


def _shards(folder: Path) -> list[TarSamples]:
    written = read_lines(folder / "nshards.txt") or [str(len(list(folder.glob("*.tar"))))]
    if not written[0].isdecimal():
        raise SightwordError(f"'{folder / 'nshards.txt'}' says '{written[0]}'; wanted the number of tars")
    paths = [folder / f"{i}.tar" for i in range(int(written[0]))]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise SightwordError(f"'{folder}' should hold {written[0]} tars but lacks {', '.join(missing[:5])}")
    return [TarSamples(path) for path in paths]


def _labelled(
    name: str, split: str, places: Sequence[Place], classes: Labels | None, root: Path | None = None
) -> LabelledSet:
    """A set of the pictures at `places`; without classes it is one of captions."""
    several = len({tar.path for tar, _ in places}) > 1  # keys need only differ inside a tar
    return LabelledSet(
        name=name,
        split=split,
        keys=tuple(f"{tar.path.stem}/{key}" if several else key for tar, key in places),
        read=lambda i: places[i][0].read(places[i][1], str(places[i][0].image_of(places[i][1]))),
        classes=classes,
        templates=(tuple(read_lines(root / TEMPLATES)) if root else ()) or PLAIN,
        synonyms=_synonyms(root, classes),
        captions=() if classes else tuple(_captions(place) for place in places),
    )


def _synonyms(root: Path | None, classes: Labels | None) -> tuple[tuple[str, ...], ...]:
    lines = read_lines(root / "synonyms.txt") if root and classes else []
    if lines and classes and len(lines) != len(classes.names):
        raise SightwordError(f"'{root}/synonyms.txt' has {len(lines)} lines for {len(classes.names)} classes")
    return tuple(tuple(word.strip() for word in line.split(",") if word.strip()) for line in lines)


def _captions(place: Place) -> tuple[str, ...]:
    tar, key = place
    lines = tar.text(key, "txt").splitlines() if "txt" in tar.samples[key] else []
    captions = tuple(line.strip() for line in lines if line.strip())
    if not captions:
        raise SightwordError(f"{tar.path}: '{key}' has neither class nor caption; wanted .cls, .json or .txt")
    return captions


def _class(place: Place, names: Sequence[str]) -> int:
    tar, key = place
    if "cls" not in tar.samples[key]:
        raise SightwordError(f"{tar.path}: '{key}' has no .cls; wanted its class as a number")
    text = tar.text(key, "cls").strip()
    if not text.isdecimal() or int(text) >= len(names):
        wanted = f"wanted 0 to {len(names) - 1} (classnames.txt)"
        raise SightwordError(f"{tar.path}: {key}.cls says '{text}'; {wanted}")

    return int(text)


def _json(tar: TarSamples, key: str) -> dict[str, Any]:
    if "json" not in tar.samples[key]:
        return {}
    try:
        facts = json.loads(tar.text(key, "json"))
    except json.JSONDecodeError as error:
        raise SightwordError(f"{tar.path}: {key}.json is not JSON ({error})") from error
    return facts if isinstance(facts, dict) else {}
