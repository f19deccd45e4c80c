"""Floor 3. Image-text pairs in webdataset tars."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import SupportsIndex, final

import numpy as np

from sightword.errors import SightwordError, unknown
from sightword.pairs.base import Pairs
from sightword.pairs.contents import IndexReport
from sightword.pairs.corpus_index import CorpusIndex
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.transfers import Transfers
from sightword.pairs.sample import Sample, Text
from sightword.pairs.shards import Place, Shard, Shards
from sightword.pairs.survey import survey


@final
class TarPairs(Pairs):
    """Pairs in webdataset tars, read by random access."""

    def __init__(
        self,
        places: tuple[Place, ...],
        name: str,
        split: str = "",
        cache: ShardCache | None = None,
        captionless: bool = False,
    ) -> None:
        self.name, self.split, self.captionless = name, split, captionless
        found = survey(places, name, cache)
        counts = found.index.counts(split, captionless)
        if not counts.any():
            raise self._empty(found.index)
        self._counts, self._ends = tuple(counts.tolist()), np.cumsum(counts)
        self._report, self._hash = found.index.report(captionless), found.index.data_hash(split, captionless)
        self._notes = found.notes
        self._shards = Shards(places, cache, found.index.digests(captionless), captionless)

    def __getitem__(self, i: SupportsIndex) -> Sample:
        shard, row = self._find(i)
        return shard.sample(row)

    def text(self, i: SupportsIndex) -> Text:
        shard, row = self._find(i)
        return shard.text(row)

    def texts(self) -> Iterator[Text]:
        for number in range(len(self._shards)):
            shard = self._shards[number]
            yield from (shard.text(row) for row in shard.rows(self.split).tolist())

    @property
    def counts(self) -> tuple[int, ...]:
        return self._counts

    @cached_property
    def keys(self) -> Sequence[str]:
        indices = (self._shards.index(number) for number in range(len(self._shards)))
        return [
            index.keys[row] for index in indices for row in index.rows(self.split, self.captionless).tolist()
        ]

    @property
    def data_hash(self) -> str:
        return self._hash

    @property
    def report(self) -> IndexReport:
        return self._report

    @property
    def notes(self) -> tuple[str, ...]:
        return self._notes

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

    def _empty(self, index: CorpusIndex) -> SightwordError:
        report, splits = index.report(self.captionless), index.split_names
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
