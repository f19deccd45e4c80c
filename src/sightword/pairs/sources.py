"""Floor 3. Image-text pairs, wherever they lie: an indexable data set without state."""

from __future__ import annotations

import hashlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import SupportsIndex, final

import numpy as np

from sightword.errors import SightwordError, unknown
from sightword.pairs.index import IndexReport
from sightword.pairs.places import tars
from sightword.pairs.sample import Sample, Text
from sightword.pairs.shards import Shard, Shards


class Pairs(ABC):
    """Pairs of pictures and captions, numbered from 0. May be read from several threads and processes."""

    @abstractmethod
    def __getitem__(self, i: SupportsIndex) -> Sample:
        """Pair `i`, counted from the end when negative.

        Raises:
            IndexError: there is no such pair.
            BadSample: this one pair cannot be read.
        """

    @abstractmethod
    def text(self, i: SupportsIndex) -> Text:
        """Key, caption and fields of pair `i`, without reading its picture."""

    @property
    @abstractmethod
    def counts(self) -> tuple[int, ...]:
        """How many pairs each shard holds, in order: pair numbers run through the shards."""

    @property
    @abstractmethod
    def keys(self) -> Sequence[str]:
        """The key of every pair."""

    @property
    @abstractmethod
    def data_hash(self) -> str:
        """A hash of what the pairs are; the same on every machine and under every path."""

    @property
    @abstractmethod
    def report(self) -> IndexReport:
        """What was found and what was left out, before any choice of a split."""

    def __len__(self) -> int:
        return sum(self.counts)

    def texts(self) -> Iterator[Text]:
        """`text` of every pair in order: what a tokenizer trains on and an evaluation groups by."""
        return (self.text(i) for i in range(len(self)))


def open_pairs(path: str, split: str = "") -> Pairs:
    """Open pairs for reading.

    Args:
        path: `demo`, a webdataset tar, shards (`cc/{00000..01100}.tar`, `cc/*.tar`), a folder of tars,
            or several of these joined by `::`.
        split: keep only samples whose json field `split` says so; all when empty.

    Raises:
        SightwordError: nothing is there, a tar is damaged or compressed, a caption is not UTF-8, no sample
            is left, or the split is unknown.
    """
    return TarPairs(tars(path), path, split)


@final
class TarPairs(Pairs):
    """Pairs in webdataset tars, read by random access."""

    def __init__(self, paths: tuple[Path, ...], name: str, split: str = "") -> None:
        self.name, self.split = name, split
        self._shards = Shards(paths)
        self._counts, self._report, self._hash = self._survey()
        self._ends = np.cumsum(self._counts)

    def __getitem__(self, i: SupportsIndex) -> Sample:
        shard, row = self._find(i)
        return shard.sample(row)

    def text(self, i: SupportsIndex) -> Text:
        shard, row = self._find(i)
        return shard.text(row)

    def texts(self) -> Iterator[Text]:
        for number in range(len(self._shards)):
            shard = self._shards[number]
            yield from (shard.text(row) for row in shard.index.rows(self.split).tolist())

    @property
    def counts(self) -> tuple[int, ...]:
        return self._counts

    @cached_property
    def keys(self) -> Sequence[str]:
        indices = (self._shards[number].index for number in range(len(self._shards)))
        return [index.keys[row] for index in indices for row in index.rows(self.split).tolist()]

    @property
    def data_hash(self) -> str:
        return self._hash

    @property
    def report(self) -> IndexReport:
        return self._report

    def _find(self, i: SupportsIndex) -> tuple[Shard, int]:
        number = operator.index(i)
        total = int(self._ends[-1])
        place = number + total if number < 0 else number
        if not 0 <= place < total:
            raise IndexError(f"pair {number} of {total}")
        which = int(np.searchsorted(self._ends, place, side="right"))
        row = place - int(self._ends[which]) + self._counts[which]
        shard = self._shards[which]
        return shard, int(shard.rows(self.split)[row])

    def _survey(self) -> tuple[tuple[int, ...], IndexReport, str]:
        """Look at every shard once; only counts are kept."""
        counts, report, splits = [], IndexReport(), set[str]()
        content = hashlib.blake2b(self.split.encode(), digest_size=16)
        for number in range(len(self._shards)):
            index = self._shards[number].index
            counts.append(len(index.rows(self.split)))
            report += index.report
            splits |= set(index.split_names)
            content.update(index.digest.encode())
        if not sum(counts):
            raise self._empty(report, splits)
        return tuple(counts), report, content.hexdigest()

    def _empty(self, report: IndexReport, splits: set[str]) -> SightwordError:
        if report.samples and splits:
            return unknown(f"split in '{self.name}':", self.split, splits)
        if report.samples:
            return SightwordError(
                f"no sample of '{self.name}' has a json field 'split'; leave the split '{self.split}' out"
            )
        why = f" ({report.left_out()})" if report.left_out() else ""
        return SightwordError(
            f"'{self.name}' holds no pair{why}; a pair is KEY.jpg, .png or .webp and KEY.txt in one tar"
        )
