"""Several sources as one: what `a::b` means."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, chain
from typing import SupportsIndex, final

import numpy as np
from jaxtyping import UInt64

from sightword.pairs.base import Pairs
from sightword.pairs.remote.transfers import Transfers
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import IndexReport
from sightword.randomness import mix, stream


@final
class JoinedPairs(Pairs):
    """The pairs of the first source, then those of the second, and so on."""

    def __init__(self, sources: Sequence[Pairs]) -> None:
        self.sources = tuple(sources)
        self._ends = np.array(list(accumulate(len(source) for source in self.sources)), dtype=np.int64)

    def __getitem__(self, i: SupportsIndex) -> Sample:
        source, own = self._find(i)
        return source[own]

    def text(self, i: SupportsIndex) -> Text:
        source, own = self._find(i)
        return source.text(own)

    def texts(self) -> Iterator[Text]:
        return chain.from_iterable(source.texts() for source in self.sources)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        return tuple(chain.from_iterable(source.counts for source in self.sources))

    @cached_property
    def keys(self) -> Sequence[str]:
        return list(chain.from_iterable(source.keys for source in self.sources))

    @property
    def data_hash(self) -> str:
        hashes = "".join(source.data_hash for source in self.sources)
        return hashlib.blake2b(hashes.encode(), digest_size=16).hexdigest()

    @property
    def report(self) -> IndexReport:
        return sum((source.report for source in self.sources), IndexReport())

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(chain.from_iterable(source.notes for source in self.sources))

    @property
    def unreadable(self) -> Sequence[tuple[str, str]]:
        return tuple(chain.from_iterable(source.unreadable for source in self.sources))

    @property
    def parts(self) -> tuple[int, ...]:
        return tuple(len(source.counts) for source in self.sources)

    @cached_property
    def remote_bytes(self) -> Sequence[int]:
        return list(chain.from_iterable(source.remote_bytes for source in self.sources))

    @property
    def transfers(self) -> Transfers:
        return sum((source.transfers for source in self.sources), Transfers())

    def prefetch(self, shards: Sequence[int]) -> None:
        ends = list(accumulate(self.parts))
        for source, end in zip(self.sources, ends, strict=True):
            first = end - len(source.counts)
            source.prefetch([shard - first for shard in shards if first <= shard < end])

    def same_pictures(self) -> UInt64[np.ndarray, " n"] | None:
        """Two tables may name one picture; samples of tars are told apart by their places."""
        same = [source.same_pictures() for source in self.sources]
        if all(marks is None for marks in same):
            return None
        return np.concatenate(
            [
                _own_marks(number, len(source)) if marks is None else marks
                for number, (source, marks) in enumerate(zip(self.sources, same, strict=True))
            ]
        )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def _find(self, i: SupportsIndex) -> tuple[Pairs, int]:
        number = operator.index(i)
        place = number + len(self) if number < 0 else number
        if not 0 <= place < len(self):
            raise IndexError(f"pair {number} of {len(self)}")
        which = int(np.searchsorted(self._ends, place, side="right"))
        return self.sources[which], place - int(self._ends[which]) + len(self.sources[which])


def _own_marks(source: int, count: int) -> UInt64[np.ndarray, " n"]:
    """A mark of its own for each pair."""
    return mix(mix(np.arange(count, dtype=np.uint64)) ^ np.uint64(stream("own picture", source)))
