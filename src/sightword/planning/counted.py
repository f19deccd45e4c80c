"""Pairs that are only counted: enough to know which of them each step and each process would get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, SupportsIndex, final

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import IndexReport

PER_SHARD = 10_000  # as img2dataset and `sightword data pack` make them


@final
class Counted(Pairs):
    """As many pairs as told, in shards of 10,000; none of them can be read."""

    def __init__(self, pairs: int) -> None:
        whole, rest = divmod(pairs, PER_SHARD)
        self._counts = (PER_SHARD,) * whole + (rest,) * (rest > 0)

    def __getitem__(self, i: SupportsIndex) -> Sample:
        self._refuse()

    def text(self, i: SupportsIndex) -> Text:
        self._refuse()

    @property
    def counts(self) -> tuple[int, ...]:
        return self._counts

    @property
    def keys(self) -> Sequence[str]:
        self._refuse()

    @property
    def data_hash(self) -> str:
        return f"{len(self)} pairs, counted"

    @property
    def report(self) -> IndexReport:
        return IndexReport(samples=len(self))

    def _refuse(self) -> NoReturn:
        raise SightwordError("these pairs are only counted; give --data to read some")
