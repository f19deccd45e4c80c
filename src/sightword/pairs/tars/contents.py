"""What a tar holds, as its index describes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt64

SIDECAR = ".index.npz"  # behind a tar's name: its index
CORPUS = "shards.index.arrow"  # in a folder of tars: the index of all


@dataclass(frozen=True)
class IndexReport:
    """How many samples there are, and how many files were left out and why."""

    samples: int = 0
    without_picture: int = 0  # captions with no picture of the same key
    without_caption: int = 0
    empty_captions: int = 0  # nothing but white space: left out
    bad_json: int = 0  # not a JSON object: the sample is left out
    not_utf8: int = 0  # captions of another encoding: the sample is left out
    duplicates: int = 0  # a second picture, caption or json of one key: the first counts
    links: int = 0  # links, devices and sparse files
    ignored: int = 0  # files of other kinds
    bad_rows: int = 0  # lines of a table that cannot be read
    damaged_shards: int = 0  # of which only what can still be found is served

    def __add__(self, other: IndexReport) -> IndexReport:
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return IndexReport(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def left_out(self) -> str:
        """What was left out, in words; empty when nothing was."""
        counts = dataclasses.asdict(self)
        del counts["samples"]
        return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)

    def with_captionless(self, served: int) -> IndexReport:
        """The report of a reading that wants pictures without captions as well, `served` of them.

        Those that are not served for want of a caption can only be left out for their json.
        """
        bad = self.without_caption + self.empty_captions - served
        return dataclasses.replace(
            self,
            samples=self.samples + served,
            without_caption=0,
            empty_captions=0,
            bad_json=self.bad_json + bad,
        )


@final
@dataclass(frozen=True)
class ShardFacts:
    """What a data set needs to know of a shard before any sample of it is read.

    `digest` is of the pairs: keys, captions, json, and the pictures' sizes and last bytes; `whole` is the
    same over pictures without captions as well, and equal to `digest` where there are none.
    """

    report: IndexReport
    captionless: int  # pictures without a caption, or with a blank one
    digest: str
    whole: str
    splits: Sequence[tuple[str, int, int]]  # name, pairs, pictures without captions


@final
@dataclass(frozen=True)
class Index:
    """One tar's samples, in the order in which their keys first appear, those without captions among them."""

    spans: Int64[np.ndarray, "n 6"]  # offset and size of picture, caption, json; size 0: none
    keys: Sequence[str]
    splits: Int32[np.ndarray, " n"]  # each sample's json field `split`, as a place in `split_names`; -1: none
    split_names: Sequence[str]
    captioned: Bool[np.ndarray, " n"]  # whether there is a caption that says something
    hashes: UInt64[np.ndarray, " n"]  # of the keys, to find those that come twice in a data set
    digest: str
    whole: str
    report: IndexReport
    bad: Sequence[tuple[str, str]] = ()  # samples left out that somebody should mend: key, reason
    damages: Sequence[str] = ()  # places where the tar cannot be walked

    def rows(self, split: str, captionless: bool = False) -> Int64[np.ndarray, " m"]:
        """The samples of one split, of all when it is empty; those without captions only where wanted."""
        wanted = np.ones_like(self.captioned) if captionless else self.captioned
        if split:
            code = self.split_names.index(split) if split in self.split_names else -2
            wanted = wanted & (self.splits == code)
        return np.flatnonzero(wanted).astype(np.int64)

    @property
    def facts(self) -> ShardFacts:
        """The facts of this shard."""
        splits = tuple(
            (name, int((mine & self.captioned).sum()), int((mine & ~self.captioned).sum()))
            for mine, name in ((self.splits == code, name) for code, name in enumerate(self.split_names))
        )
        return ShardFacts(self.report, int((~self.captioned).sum()), self.digest, self.whole, splits)
