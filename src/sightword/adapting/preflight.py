"""The data before anything is paid for: what `sightword data check` finds in few lines, when to stop."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sightword.config import Config
from sightword.corpora.checking.check import FINDINGS, check
from sightword.corpora.checking.checked import Checked, CheckOptions
from sightword.corpora.checking.findings import Kind
from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.words.captions import captions_of
from sightword.training.data import reading_of
from sightword.training.disk import write_text

FILE = "examined.json"
MOST = 100_000  # pictures that are decoded without being asked to
LEAST = 64  # pairs: of fewer nothing can be held out that would say anything
_MUCH = 0.5  # a share that is worth a word
_SILENT = (Kind.FEW_SHARDS, Kind.SAME_PICTURE, Kind.NEAR_COPY, Kind.WRONG_TYPE, Kind.OTHER_FILES)
_LOST = (Kind.MISSING_SHARD, Kind.DAMAGED_SHARD)


@dataclass(frozen=True)
class Examined:
    """What was found.

    pairs: with a picture, of all splits that were asked for.
    different: captions among them, none counted twice.
    decoded: pictures that were looked at and can be read; `share` of all were looked at.
    counts: findings by kind, as `sightword data check` names them.
    notes: for people, a line each: problems first.
    """

    pairs: int
    different: int
    decoded: int
    share: float
    counts: Mapping[str, int]
    repeated_captions: float
    near_share: float
    over_context: float
    notes: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The result in few lines."""
        some = "" if self.share >= 1 else f" ({self.share:.1%} of the pictures looked at)"
        yield f"data: {self.pairs:,} pairs{some}, {self.different:,} different captions"
        yield from self.notes


def examine(config: Config, pairs: Pairs, out: Path) -> Examined:
    """Look at the data, or read what an earlier look found.

    Args:
        config: which data, and how they are read.
        pairs: the same, opened.
        out: a folder for `check.json`, `check.jsonl` and `examined.json`.

    Raises:
        SightwordError: nothing is there, or it would ruin the run; the remedy is told.
    """
    found = found_in(out, pairs.data_hash)
    if found is None:
        found = _look(config, pairs, out)
        write_text(out / FILE, json.dumps({"data_hash": pairs.data_hash, "examined": asdict(found)}) + "\n")
    judge(found, config)
    return found


def found_in(out: Path, data_hash: str = "") -> Examined | None:
    """What an earlier look found; None without one, or when it was at other data than those of the hash."""
    path = out / FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not known or data_hash not in ("", known["data_hash"]):
        return None
    return Examined(**{**known["examined"], "notes": tuple(known["examined"]["notes"])})


def judge(found: Examined, config: Config) -> None:
    """Stop before what would ruin the run.

    Raises:
        SightwordError: what was found, and what to do.
    """
    said = f"; sightword data check '{config.data.path}' lists each, and --no-check goes on regardless"
    lost = sum(found.counts.get(kind.title, 0) for kind in _LOST)
    if lost:
        raise SightwordError(f"{lost:,} shards are missing or damaged: fetch them again{said}")
    bad = found.counts.get(Kind.UNREADABLE.title, 0)
    looked = found.decoded + bad
    if bad > config.data.max_bad * looked:
        raise SightwordError(
            f"{bad:,} of {looked:,} pictures cannot be read, more than --max-bad {config.data.max_bad:g}"
            " allows:"
            f" training would stop; leave their pairs out{said}"
        )
    if found.pairs < LEAST:
        raise SightwordError(f"there are {found.pairs:,} pairs; adapt wants {LEAST} or more: add some")
    if found.different < 2:
        raise SightwordError(
            "all captions are the same, so no picture can be told from another by them; if the column is"
            " another,"
            " give --caption-key"
        )


def _look(config: Config, pairs: Pairs, out: Path) -> Examined:
    share = min(1.0, MOST / max(1, len(pairs)))
    options = CheckOptions(split=config.data.split, share=share)
    checked = check(config.data.path, out, options, reading_of(config.data, captionless=False))
    texts = (text for one in pairs.texts() for text in captions_of(one, config.data.captions))
    different = len({" ".join(text.split()) for text in texts})
    again = checked.repeated
    return Examined(
        pairs=len(pairs),
        different=different,
        decoded=checked.decoded,
        share=share,
        counts=dict(checked.counts),
        repeated_captions=again.repeated_captions,
        near_share=again.near_share,
        over_context=checked.over_context,
        notes=(*filter(_tells, checked.summary), *_worth_a_word(checked, different, len(pairs))),
    )


def _tells(line: str) -> bool:
    """Shards for other loaders are of no concern here, nor are single pictures that come again."""
    return not any(line.startswith(f"note: {kind.title} ") for kind in _SILENT)


def _worth_a_word(checked: Checked, different: int, pairs: int) -> Iterator[str]:
    again = checked.repeated
    if again.repeated_captions > _MUCH:
        yield (
            f"note: {again.repeated_captions:.0%} of the captions occur more than once ({different:,}"
            " different"
            f" ones for {pairs:,} pairs): pictures of equal captions are pushed apart where they meet in a"
            " batch"
        )
    if again.near_share > 0:
        yield (
            f"note: {again.near_share:.1%} of the pictures come again (same bytes or near copies); {FINDINGS}"
            " lists"
            " each, and none that is held out is trained on"
        )
    if checked.over_context > 0:
        yield f"note: {checked.over_context:.1%} of the captions have more than 77 tokens; CLIP cuts them"
