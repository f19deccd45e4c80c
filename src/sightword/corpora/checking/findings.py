"""What an examination of a corpus may find, how bad it is, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO

_CLEAN = "`sightword data pack --verify` makes a copy without them"


class Kind(Enum):
    """The name in `check.jsonl`, whether it is a problem (else a note), what it means, what to do."""

    MISSING_SHARD = "missing-shard", True, "shards that are not there", "fetch them"
    NOTHING = "nothing", True, "no sample at all", "name a source that holds pictures"
    DAMAGED_SHARD = (
        "damaged-shard",
        True,
        "damage in tars",
        "fetch them again: training reads only what is left",
    )
    TWO_OF_A_KEY = "two-of-a-key", True, "files whose key has such a file already: lost", "give each its key"
    NO_PICTURE = "no-picture", True, "captions without a picture", _CLEAN
    NO_CAPTION = "no-caption", True, "pictures without a caption", _CLEAN + ", or --captionless keeps them"
    EMPTY_CAPTION = "empty-caption", True, "captions that say nothing", _CLEAN
    NOT_UTF8 = "not-utf8", True, "captions that are not UTF-8", "convert them with iconv -f latin1 -t utf-8"
    BAD_JSON = "bad-json", True, "json that is no object: the sample is left out", _CLEAN
    UNREADABLE = "unreadable", True, "pictures that cannot be decoded whole", _CLEAN
    IN_TEST_SET = "in-test-set", True, "copies of pictures that are tested on", "leave them out of training"
    WRONG_TYPE = "wrong-type", False, "pictures of another format than their extension says", "harmless here"
    TINY = "tiny", False, "pictures of a few pixels", "leave them out, if they teach nothing"
    STRIP = "strip", False, "pictures of an extreme shape: crops show little of them", "leave them out"
    BLANK = "blank", False, "pictures of one colour, which no hash can tell apart", "leave them out"
    SAME_KEY = "same-key", False, "keys that another shard has too", "`sightword data pack` makes them unique"
    SCATTERED = "scattered", False, "samples whose files are apart: webdataset would lose them", "pack again"
    OTHER_FILES = "other-files", False, "files that are not read", "nothing, if that is meant"
    SAME_PICTURE = "same-picture", False, "pictures that come again, the same bytes", "keep one of each"
    NEAR_COPY = "near-copy", False, "pictures that look like an earlier one", "keep one of each"
    FEW_SHARDS = "few-shards", False, "fewer shards than loaders", "pack with a smaller --per-shard"

    def __init__(self, title: str, problem: bool, meaning: str, do: str) -> None:
        self.title, self.problem, self.meaning, self.do = title, problem, meaning, do


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    kind: Kind
    shard: str
    key: str  # of the sample; empty where none is concerned
    reason: str

    def json(self) -> bytes:
        """A line of `check.jsonl`."""
        entry = {"kind": self.kind.title, "shard": self.shard, "key": self.key, "reason": self.reason}
        return json.dumps(entry, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


@dataclass
class Findings:
    """Findings on their way to a file: counted, and the first of each kind remembered."""

    file: BinaryIO
    counts: dict[Kind, int] = field(default_factory=dict)
    firsts: dict[Kind, Finding] = field(default_factory=dict)

    def add(self, kind: Kind, shard: str, key: str, reason: str) -> None:
        """One more."""
        finding = Finding(kind, shard, key, reason)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.firsts.setdefault(kind, finding)
        self.file.write(finding.json())


def summary(counts: dict[Kind, int], firsts: dict[Kind, Finding]) -> Iterable[str]:
    """A line for each kind that was found, problems first: how many, an example, what to do."""
    for kind in sorted(counts, key=lambda kind: not kind.problem):
        first = firsts[kind]
        where = " in ".join(part for part in (first.key, first.shard) if part)
        yield (
            f"{'problem' if kind.problem else 'note'}: {kind.title} {counts[kind]:,}, {kind.meaning} "
            f"({where}: {first.reason}); {kind.do}"
        )
