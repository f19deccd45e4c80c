"""The public corpora: packages in, shards of captioned pictures out, with licences and splits."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from rich.console import Console

from sightword.corpora.building.archives import Archive
from sightword.corpora.building.clipart import ClipArt
from sightword.corpora.building.drawing import Drawn, check_installed
from sightword.corpora.building.emoji import Emoji
from sightword.corpora.building.families import Families, split_of, tie_near_copies
from sightword.corpora.building.fetch import obtain
from sightword.corpora.building.icons import Icons
from sightword.corpora.building.items import Corpus, Drops, Item
from sightword.corpora.building.notices import write_notices
from sightword.corpora.building.painting import draw_all
from sightword.corpora.parallel import processors
from sightword.errors import SightwordError, unknown
from sightword.pairs.sample import Sample
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.writer import shard_name, write_shard
from sightword.training.progress import Bar

Name = Literal["icons", "emoji", "clipart"]
RECORD = "corpus.json"
_MOST_MEANINGS = 3  # concepts under one drawing; with more it is a place holder, as an empty flag
_PER_SHARD = 2_500  # small, so that even a small corpus is shuffled and shared out shard by shard
_Picture: TypeAlias = tuple[Item, Drawn]


@dataclass(frozen=True)
class Summary:
    """What was built. All but the seconds stands in `corpus.json`."""

    corpus: str
    pairs: int
    captions: int  # different ones
    families: int
    splits: Mapping[str, int]
    sets: Mapping[str, int]  # by source and artist
    licenses: Mapping[str, int]
    dropped: Mapping[str, int]  # by reason
    packages: Sequence[Mapping[str, str]]  # name, version, SHA-256 of the archive
    size: int  # pixels of the longer side, at most
    shards: int
    bytes: int
    data_hash: str
    seconds: float


def build_corpus(
    name: str,
    out: Path,
    *,
    archives: Sequence[Path] = (),
    size: int = 128,
    workers: int = 0,
    monochrome: bool = False,
    share_alike: bool | None = None,
) -> Summary:
    """Build a corpus into a new folder; the same packages give the same bytes.

    Args:
        name: `icons`, `emoji` or `clipart`.
        out: a folder that does not exist yet, or is empty.
        archives: package archives; what is missing is fetched by npm or apt-get into the cache folder.
        size: pixels of a picture's side; a smaller picture in a package is not enlarged.
        workers: processes that draw; 0 takes one for each core.
        monochrome: of the icons, also those without colours.
        share_alike: whether artwork under CC-BY-SA is used; by default in `emoji` only.

    Raises:
        SightwordError: a package cannot be had or read, or the folder is in use or cannot be written.
    """
    started = time.monotonic()
    corpus = _corpus(name, monochrome, share_alike)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SightwordError(f"'{out}' exists and is not empty; give --out a new folder")
    check_installed()
    found = obtain(corpus.packages, archives)
    drops = Drops()
    with Console(stderr=True).status(f"reading {', '.join(archive.source for archive in found.values())}"):
        items = list(corpus.items(found, drops))
    pictures = _drawn(name, items, drops, size, processors(workers))
    families = Families()
    distinct = _distinct(pictures, families, drops)
    names, looks = [item.ties[0] for item, _ in distinct], [drawn.looks for _, drawn in distinct]
    tie_near_copies(families, names, looks)
    samples = _dealt_out(distinct, families)
    try:
        summary = _written(name, out, samples, drops, found, size)
    except OSError as error:
        raise SightwordError(
            f"cannot write '{out}' ({error.strerror}); give --out a folder with free space"
        ) from error
    return replace(summary, seconds=time.monotonic() - started)


def _corpus(name: str, monochrome: bool, share_alike: bool | None) -> Corpus:
    if name not in get_args(Name):
        raise unknown("corpus", name, get_args(Name))
    if monochrome and name != "icons":
        raise SightwordError(f"--monochrome is for icons; leave it out for {name}")
    if name == "icons":
        return Icons(monochrome, bool(share_alike))
    if name == "emoji":
        return Emoji(share_alike is not False)
    return ClipArt()


def _drawn(name: str, items: Sequence[Item], drops: Drops, size: int, workers: int) -> list[_Picture]:
    """What could be drawn, in the order of the items."""
    pictures = list[_Picture]()
    drawn_in_order = draw_all([item.drawing for item in items], size, workers)
    with Bar(f"drawing {name}", total=len(items)) as bar:
        for item, drawn in zip(items, drawn_in_order, strict=True):
            bar.advance()
            if drawn.refused:
                drops.add(item.key, drawn.refused)
            else:
                pictures.append((item, drawn))
    return pictures


def _distinct(pictures: Sequence[_Picture], families: Families, drops: Drops) -> list[_Picture]:
    """Of pictures that look the same, the first, tied to the others; none where it stands for anything."""
    alike = dict[str, list[_Picture]]()
    for item, drawn in pictures:
        families.tie(item.ties)
        alike.setdefault(drawn.pixels, []).append((item, drawn))
    meanings = {pixels: {families.of(item.ties[0]) for item, _ in same} for pixels, same in alike.items()}
    kept = list[_Picture]()
    for pixels, (first, *others) in alike.items():
        if len(meanings[pixels]) > _MOST_MEANINGS:
            for item, _ in (first, *others):
                drops.add(item.key, f"one picture for more than {_MOST_MEANINGS} concepts")
            continue
        families.tie(meanings[pixels])
        kept.append(first)
        for item, _ in others:
            drops.add(item.key, "looks the same as an earlier one")
    return kept


def _dealt_out(pictures: Sequence[_Picture], families: Families) -> list[Sample]:
    """Samples with their family and split, shuffled by their keys so that every shard holds some of all."""
    samples = list[Sample]()
    for item, drawn in pictures:
        family = families.of(item.ties[0])
        fields = {**item.fields, "family": family, "split": split_of(family)}
        samples.append(Sample(item.key, item.captions, fields, drawn.image))
    return sorted(samples, key=lambda sample: hashlib.blake2b(sample.key.encode()).digest())


def _written(
    name: str, out: Path, samples: Sequence[Sample], drops: Drops, archives: Mapping[str, Archive], size: int
) -> Summary:
    """Everything into a folder aside, which then takes its place: nobody ever sees half a corpus."""
    if not samples:
        raise SightwordError(f"nothing is left for '{out}': {dict(drops.counts)}; check the archives")
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for number, start in enumerate(range(0, len(samples), _PER_SHARD)):
            write_shard(aside / shard_name(number), samples[start : start + _PER_SHARD])
        summary = _summary(name, aside, samples, drops, archives, size)
        write_notices(aside / "LICENSES.md", name, samples)
        with (aside / "dropped.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"key": key, "reason": why}) + "\n" for key, why in drops.rows)
        record = {key: value for key, value in asdict(summary).items() if key != "seconds"}
        (aside / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.chmod(aside, 0o755)  # mkdtemp's 0700 would lock out the other users of a shared data folder
        if out.exists():
            out.rmdir()
        os.replace(aside, out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return summary


def _summary(
    name: str,
    folder: Path,
    samples: Sequence[Sample],
    drops: Drops,
    archives: Mapping[str, Archive],
    size: int,
) -> Summary:
    def count(names: Iterable[str]) -> Mapping[str, int]:
        return dict(sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0])))

    shards = sorted(folder.glob("*.tar"))
    return Summary(
        corpus=name,
        pairs=len(samples),
        captions=len({sample.caption for sample in samples}),
        families=len({sample.fields["family"] for sample in samples}),
        splits=count(sample.fields["split"] for sample in samples),
        sets=count(str(sample.fields["title"]) for sample in samples),
        licenses=count(str(sample.fields["license"]) for sample in samples),
        dropped=drops.counts,
        packages=[
            {"name": archive.package, "version": archive.version, "sha256": archive.sha256}
            for archive in archives.values()
        ],
        size=size,
        shards=len(shards),
        bytes=sum(shard.stat().st_size for shard in shards),
        data_hash=open_pairs(str(folder / f"{{00000..{len(shards) - 1:05d}}}.tar")).data_hash,
        seconds=0.0,
    )
