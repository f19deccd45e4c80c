"""Image-text pairs in webdataset tars, damaged ones among them as long as they are few."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import SupportsIndex, final

import numpy as np

from sightword.errors import BadSample, SightwordError, unknown
from sightword.pairs.base import Pairs
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.transfers import Transfers
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import IndexReport
from sightword.pairs.tars.corpus_index import CorpusIndex
from sightword.pairs.tars.shards import Place, Shard, Shards
from sightword.pairs.tars.survey import survey

_NAMED = 1000  # shards of which what is bad in them is named when they are opened; check names all


@final
class TarPairs(Pairs):
    """Pairs in webdataset tars, read by random access.

    Raises:
        SightwordError: there is none; or the share of damaged shards, or that of captions that are not UTF-8,
            is above `max_bad`.
    """

    def __init__(
        self,
        places: tuple[Place, ...],
        name: str,
        split: str = "",
        cache: ShardCache | None = None,
        captionless: bool = False,
        max_bad: float = 0.0,
    ) -> None:
        self.name, self.split, self.captionless = name, split, captionless
        found = survey(places, name, cache)
        counts = found.index.counts(split, captionless)
        self._counts, self._ends = tuple(counts.tolist()), np.cumsum(counts)
        self._report, self._hash = found.index.report(captionless), found.index.data_hash(split, captionless)
        self._notes = found.notes
        self._shards = Shards(places, cache, found.index.digests(captionless), captionless)
        self._faulty = found.index.having("damaged_shards", "not_utf8", "bad_json")
        self._judge(found.index, max_bad)
        if not counts.any():
            raise self._empty(found.index)

    def __getitem__(self, i: SupportsIndex) -> Sample:
        shard, row = self._find(i)
        return shard.sample(row)

    def text(self, i: SupportsIndex) -> Text:
        shard, row = self._find(i)
        return shard.text(row)

    def texts(self) -> Iterator[Text]:
        for number in range(len(self._shards)):
            shard = self._shards[number]
            yield from (_text(shard, row) for row in shard.rows(self.split).tolist())

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
    def unreadable(self) -> Sequence[tuple[str, str]]:
        listed = list[tuple[str, str]]()
        for number in self._faulty[:_NAMED].tolist():
            index, shard = self._shards.index(number), self._shards.name(number)
            if index.damages:
                more = f", and {len(index.damages) - 1:,} more places" if len(index.damages) > 1 else ""
                listed.append((shard, index.damages[0] + more))
            listed += index.bad
        if len(self._faulty) > _NAMED:
            listed.append(
                (self.name, f"{len(self._faulty) - _NAMED:,} more shards; sightword data check names all")
            )
        return listed

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

    def _judge(self, index: CorpusIndex, max_bad: float) -> None:
        """How much a damaged shard lost cannot be known, so it counts as a whole."""
        report = self._report
        if report.damaged_shards > max_bad * len(index):
            raise self._too_damaged(index, max_bad)
        if report.not_utf8 > max_bad * (report.samples + report.not_utf8):
            number = int(index.having("not_utf8")[0])
            reason = next(reason for _, reason in self._shards.index(number).bad if "UTF-8" in reason)
            raise SightwordError(
                f"{report.not_utf8:,} captions in '{self.name}' are not UTF-8, more than "
                f"max_bad = {max_bad:g}; first {self._shards.name(number)}: {reason}"
            )

    def _too_damaged(self, index: CorpusIndex, max_bad: float) -> SightwordError:
        rows = index.having("damaged_shards")
        first: object = self._shards.index(int(rows[0])).damages[0]
        try:
            for _ in self._shards[int(rows[0])].tar.members():
                pass
        except SightwordError as error:  # says what to do as well
            first = error
        if len(index) == 1:
            return SightwordError(str(first))
        return SightwordError(
            f"{len(rows):,} of the {len(index):,} shards of '{self.name}' are damaged, more than "
            f"max_bad = {max_bad:g}; first: {first}"
        )

    def _empty(self, index: CorpusIndex) -> SightwordError:
        report, splits = self._report, index.split_names
        if report.damaged_shards and not report.samples:
            return self._too_damaged(index, 0.0)
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


def _text(shard: Shard, row: int) -> Text:
    """One that cannot be read says nothing here; whoever reads its picture is told why."""
    try:
        return shard.text(row)
    except BadSample as error:
        return Text(error.key, (), {})
