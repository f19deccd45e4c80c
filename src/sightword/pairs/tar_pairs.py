"""Floor 3. Image-text pairs in webdataset tars."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import SupportsIndex, final

import numpy as np

from sightword.errors import SightwordError, unknown
from sightword.pairs.base import Pairs
from sightword.pairs.index import IndexReport
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.transfers import Transfers
from sightword.pairs.sample import Sample, Text
from sightword.pairs.shards import Place, Shard, Shards


@final
class TarPairs(Pairs):
    """Pairs in webdataset tars, read by random access."""

    def __init__(
        self, places: tuple[Place, ...], name: str, split: str = "", cache: ShardCache | None = None
    ) -> None:
        self.name, self.split = name, split
        self._shards = Shards(places, cache)
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
        indices = (self._shards.index(number) for number in range(len(self._shards)))
        return [index.keys[row] for index in indices for row in index.rows(self.split).tolist()]

    @property
    def data_hash(self) -> str:
        return self._hash

    @property
    def report(self) -> IndexReport:
        return self._report

    @cached_property
    def remote_bytes(self) -> Sequence[int]:
        return [place.size if isinstance(place, Remote) else 0 for place in self._shards.places]

    @property
    def transfers(self) -> Transfers:
        return self._shards.cache.journal.total() if self._shards.cache else Transfers()

    def prefetch(self, shards: Sequence[int]) -> None:
        self._shards.prefetch(shards)

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
        self._shards.examine()
        counts, report, splits = [], IndexReport(), set[str]()
        content = hashlib.blake2b(self.split.encode(), digest_size=16)
        for number in range(len(self._shards)):
            index = self._shards.index(number)
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
