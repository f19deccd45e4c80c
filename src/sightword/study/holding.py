"""Pairs that no run of a study learns from, written as sets to choose settings on and to test on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from sightword.config import CaptionPolicy, Config
from sightword.corpora.checking.copies import Copies, prints_of
from sightword.corpora.fingerprints import agree
from sightword.corpora.near import near_pairs
from sightword.corpora.packing.keys import safe
from sightword.errors import BadSample, SightwordError
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.progress import watched
from sightword.pairs.base import Pairs
from sightword.pairs.files import cache_dir
from sightword.pairs.joined import JoinedPairs
from sightword.pairs.order import permuted
from sightword.pairs.parts import held_out_part
from sightword.pairs.remote.locks import locked
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.writer import PER_SHARD, write_shard
from sightword.pairs.words.captions import captions_of
from sightword.randomness import stream
from sightword.training.data import all_pairs, sight_pairs
from sightword.training.disk import write_text, writing

VALIDATION, TEST, RECORD = "held-out-validation", "held-out", "held_out.json"  # names of the sets
_FORMAT = 1
_PATIENCE = 3600.0  # seconds that another process may take to write the same sets
_LEAST = 2  # pictures of a set: retrieval among one is no question


@dataclass(frozen=True)
class HeldOut:
    """What `held_out.json` says of the two sets."""

    format: int
    data_hash: str  # of all pairs, trained on or not, and of the other pictures of `--sight-data`
    asked: int  # pairs
    captions: CaptionPolicy  # by which the sets' captions were taken
    splits: list[str] = field(default_factory=list)  # of the data, for validation and test; []: halves
    pairs: int = 0  # held out
    pictures: int = 0  # different ones among these that can be read and have a caption
    validation: int = 0  # pictures
    test: int = 0
    unreadable: int = 0  # pairs
    without_caption: int = 0  # pictures
    leaked: int = 0  # pictures left out, since training or the validation set has them or their like
    compared: bool = False  # with the pictures that are trained on; else only with each other


@dataclass(frozen=True)
class _Picture:
    """A picture of the held-out part: the first pair that shows it, and what all of them say."""

    pair: int
    captions: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """Pairs that are held out, their numbers in the data, and how many of the first are for validation."""

    pairs: Pairs
    numbers: Int64[np.ndarray, " n"]
    first: int | None  # None: half of the pictures, by chance

    def validation(self, pictures: Sequence[_Picture]) -> Bool[np.ndarray, " n"]:
        """Which pictures are for validation; the others are for the test."""
        if self.first is None:
            return _half(len(pictures))
        return np.array([picture.pair < self.first for picture in pictures], dtype=np.bool_)


def hold_out(
    config: Config,
    count: int,
    folder: Path,
    told: Callable[[str], None],
    splits: Sequence[str] = (),
) -> HeldOut:
    """Write the pairs that runs with `data.held_out = count` do not see, as two sets for retrieval.

    `folder/held-out-validation` and `folder/held-out`, halves by chance or two splits that the data has, each
    in CLIP_benchmark's layout, as `sightword evaluate --on folder/held-out` opens it. Pictures' bytes stay
    what they are; pairs of equal pictures become one picture with the captions of all. Pictures that are in
    the training data, or look like one there, are left out of both, and out of the test also what looks like
    a picture of the validation set. What lies there already and is of the same data is taken as it is.

    Args:
        config: which data, and which captions are shown; all else may differ from run to run.
        count: `data.held_out` of the runs.
        folder: is made, whole or not at all.
        told: of what was left out, a line each.
        splits: of the data, for validation and test, that runs do not train on; then `count` is 0.

    Raises:
        SightwordError: there are too few pairs, other sets lie there, or the disk cannot be written.
    """
    config = replace(config, data=replace(config.data, held_out=count, samples=0))
    wanted = HeldOut(_FORMAT, _hash(config), count, config.data.captions, list(splits))
    try:
        with locked(_lock(folder), _PATIENCE):
            return _found(folder, wanted) or _make(config, wanted, folder, told)
    except TimeoutError as error:
        raise SightwordError(f"another process is writing '{folder}' ({error}); end it or wait") from error


def _hash(config: Config) -> str:
    sight = sight_pairs(config)
    return all_pairs(config).data_hash + (f"+{sight.data_hash}" if sight is not None else "")


def _lock(folder: Path) -> Path:
    name = hashlib.blake2b(str(folder.resolve()).encode(errors="surrogateescape"), digest_size=16)
    return cache_dir() / "held_out" / f"{name.hexdigest()}.lock"


def _found(folder: Path, wanted: HeldOut) -> HeldOut | None:
    """What lies there; None for nothing."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        found = HeldOut(**json.loads((folder / RECORD).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise SightwordError(
            f"'{folder}' holds something else than held-out pairs (no whole {RECORD}); give another folder"
        ) from error
    names = ("format", "data_hash", "asked", "captions", "splits")
    other = [name for name in names if getattr(found, name) != getattr(wanted, name)]
    if other:
        raise SightwordError(
            f"the sets in '{folder}' were held out otherwise ({other[0]} was {getattr(found, other[0])}, and"
            f" is {getattr(wanted, other[0])}); give another folder, or remove it"
        )
    return found


def _make(config: Config, wanted: HeldOut, folder: Path, told: Callable[[str], None]) -> HeldOut:
    source = _source(config, wanted)
    prints = prints_of(_labelled(source))
    pictures, silent = _pictures(source.pairs, prints, config.data.captions)
    own = prints[[picture.pair for picture in pictures]]
    seen, compared = _seen(config, own, told)
    validation = source.validation(pictures)
    leaked = seen | (~validation & _like_any(own, validation & ~seen))
    made = replace(
        wanted,
        pairs=len(source.pairs),
        pictures=len(pictures),
        validation=int((validation & ~leaked).sum()),
        test=int((~validation & ~leaked).sum()),
        unreadable=int((prints["key"] != 0).sum()),
        without_caption=silent,
        leaked=int(leaked.sum()),
        compared=compared,
    )
    _tell(made, folder, told)
    aside = folder.with_name(f".{folder.name}.writing")
    with writing(folder):
        shutil.rmtree(aside, ignore_errors=True)  # left by a kill
        for name, chosen in ((VALIDATION, validation & ~leaked), (TEST, ~validation & ~leaked)):
            _write(aside / name, source, [pictures[i] for i in np.flatnonzero(chosen)])
        write_text(aside / RECORD, json.dumps(asdict(made), indent=1) + "\n")
        aside.rename(folder)
    return made


def _source(config: Config, wanted: HeldOut) -> _Source:
    if not wanted.splits:
        part = held_out_part(all_pairs(config), wanted.asked)
        return _Source(part, part.ids, None)
    parts = [
        all_pairs(replace(config, data=replace(config.data, split=split, held_out=0)))
        for split in wanted.splits
    ]
    return _Source(JoinedPairs(parts), np.arange(sum(map(len, parts))), len(parts[0]))


def _labelled(source: _Source) -> LabelledSet:
    keys = tuple(str(number) for number in source.numbers.tolist())
    return LabelledSet("held-out pairs", "all", keys, lambda i: source.pairs[i].image)


def _pictures(part: Pairs, prints: np.ndarray, policy: CaptionPolicy) -> tuple[list[_Picture], int]:
    """The different pictures that say something, by the first pair of each; and how many say nothing."""
    shows = defaultdict[int, list[int]](list)
    for pair in np.flatnonzero(prints["key"] == 0).tolist():
        shows[int(prints["file"][pair])].append(pair)
    pictures = []
    for pairs in shows.values():
        said = (caption for pair in pairs for caption in _captions(part.text(pair), policy))
        pictures.append(_Picture(pairs[0], tuple(dict.fromkeys(said))))
    speaking = [picture for picture in pictures if picture.captions]
    return speaking, len(pictures) - len(speaking)


def _captions(text: Text, policy: CaptionPolicy) -> Iterator[str]:
    """All that training could say, a line each; a label without the tags, which only come behind it."""
    tagged = policy in ("label-tags", "label-tags-languages")
    for caption in captions_of(text, "label" if tagged else policy):
        if line := " ".join(caption.split()):
            yield line


def _seen(
    config: Config, prints: np.ndarray, told: Callable[[str], None]
) -> tuple[Bool[np.ndarray, " n"], bool]:
    """Which pictures are in what is trained on, or look the same; and whether that could be found out."""
    seen = np.zeros(len(prints), dtype=np.bool_)
    try:
        seen[Copies(config, told).seen(prints)] = True
    except SightwordError as error:
        told(f"held-out pictures are not compared with those that are trained on: {error}")
        return seen, False
    return seen, True


def _half(count: int) -> Bool[np.ndarray, " n"]:
    """Half of so many, by chance."""
    keys = np.full(count, stream("parts", "validation"), dtype=np.uint64)
    half: Bool[np.ndarray, " n"] = permuted(np.arange(count), np.full(count, count), keys) < count // 2
    return half


def _like_any(prints: np.ndarray, others: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which pictures look like one of the others."""
    told_apart: Int64[np.ndarray, " m"] = np.flatnonzero(prints["looks"])
    pairs = told_apart[near_pairs(prints["coarse"][told_apart].astype(np.uint64))[0]]
    pairs = pairs[agree(prints, pairs, prints)]
    like = np.zeros(len(prints), dtype=np.bool_)
    for mine, theirs in (pairs.T, pairs.T[::-1]):
        like[mine[others[theirs]]] = True
    return like


def _tell(made: HeldOut, folder: Path, told: Callable[[str], None]) -> None:
    if made.unreadable:
        told(f"{made.unreadable:,} of {made.pairs:,} held-out pairs cannot be read, and are not tested on")
    if made.without_caption:
        told(f"{made.without_caption:,} held-out pictures have no caption, and are not tested on")
    if made.leaked:
        told(
            f"{made.leaked:,} of {made.pictures:,} held-out pictures are left out: the training data, or the"
            " validation set, has them or pictures that look the same"
        )
    if min(made.validation, made.test) < _LEAST:
        raise SightwordError(
            f"of {made.pairs:,} held-out pairs {made.validation:,} pictures are left for validation and"
            f" {made.test:,} for the test; hold out more"
        )
    told(f"held out for '{folder}': {made.validation:,} pictures for validation, {made.test:,} for the test")


def _write(root: Path, source: _Source, pictures: Sequence[_Picture]) -> None:
    """One set; its only split is `test`, as whoever opens it expects."""
    starts = range(0, len(pictures), PER_SHARD)
    for number, start in enumerate(starts):
        some = pictures[start : start + PER_SHARD]
        samples = (_sample(source, picture) for picture in watched(some, len(some), f"writing {root.name}"))
        write_shard(root / "test" / f"{number}.tar", samples)
    write_text(root / "test" / "nshards.txt", f"{len(starts)}\n")
    write_text(root / "dataset_type.txt", "retrieval\n")


def _sample(source: _Source, picture: _Picture) -> Sample:
    try:
        found = source.pairs[picture.pair]
    except BadSample as error:
        raise SightwordError(f"{error.key} could be read before, and now cannot: {error.reason}") from error
    key = f"{source.numbers[picture.pair]}-{safe(found.key)}"
    return Sample(key, ("\n".join(picture.captions),), {}, found.image)
