"""Some pairs of a source as a source of its own, with the shards of the whole."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import SupportsIndex, final

import numpy as np
from jaxtyping import Int64, UInt64

from sightword.errors import BadSample
from sightword.pairs.base import Pairs
from sightword.pairs.keys import Keys
from sightword.pairs.remote.transfers import Transfers
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import IndexReport

_FEW = 8  # times as many pairs in the whole as in a part from which keys are asked for one by one


@final
class Part(Pairs):
    """A view of other pairs, in their order. Memory is 8 bytes for each of the ids that are given.

    Shards stay what they were with fewer pairs in each, so order, windows, prefetching and the shares of
    `::` parts go on over them; a shard of which nothing is left is not fetched.

    Args:
        whole: the pairs that these are some of.
        ids: numbers in `whole`, ascending, none twice: those that are kept, or those that are left out.
        kept: which of both the ids are; give the shorter list.
        chosen: in words what was chosen and how; equal words of equal data mean equal parts.
        told: a line for the user of what was chosen.
    """

    def __init__(
        self, whole: Pairs, ids: Int64[np.ndarray, " m"], kept: bool, chosen: str, told: str = ""
    ) -> None:
        assert not len(ids) or (ids[0] >= 0 and ids[-1] < len(whole) and bool((np.diff(ids) > 0).all()))
        self.whole, self.ids, self.kept, self.chosen, self.told = whole, ids, kept, chosen, told

    def __reduce__(self) -> tuple[type[Part], tuple[Pairs, np.ndarray, bool, str, str]]:
        return Part, (self.whole, self.ids, self.kept, self.chosen, self.told)

    def __getitem__(self, i: SupportsIndex) -> Sample:
        return self.whole[self.number_in_whole(i)]

    def text(self, i: SupportsIndex) -> Text:
        return self.whole.text(self.number_in_whole(i))

    def texts(self) -> Iterator[Text]:
        if self.kept:
            yield from (self._said(number) for number in self.ids.tolist())
            return
        left_out = iter([*self.ids.tolist(), -1])
        next_out = next(left_out)
        for number, text in enumerate(self.whole.texts()):
            if number == next_out:
                next_out = next(left_out)
            else:
                yield text

    def number_in_whole(self, i: SupportsIndex) -> int:
        """The number that pair `i` has in the whole.

        Raises:
            IndexError: there is no such pair.
        """
        asked = operator.index(i)
        number = asked + len(self) if asked < 0 else asked
        if not 0 <= number < len(self):
            raise IndexError(f"pair {asked} of {len(self)}")
        if self.kept:
            return int(self.ids[number])
        return number + int(np.searchsorted(self._shifts, number, side="right"))

    def numbers_in_whole(self, numbers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """`number_in_whole` of many, none negative."""
        found: Int64[np.ndarray, " n"] = (
            self.ids[numbers] if self.kept else numbers + np.searchsorted(self._shifts, numbers, side="right")
        )
        return found

    @cached_property
    def counts(self) -> tuple[int, ...]:
        whole = np.array(self.whole.counts, dtype=np.int64)
        given = np.diff(np.searchsorted(self.ids, np.cumsum(whole)), prepend=0)
        return tuple((given if self.kept else whole - given).tolist())

    @cached_property
    def keys(self) -> Sequence[str]:
        return _Keys(self)

    @property
    def data_hash(self) -> str:
        """Of what the whole is and of what was chosen of it."""
        return hashlib.blake2b(f"{self.whole.data_hash} {self.chosen}".encode(), digest_size=16).hexdigest()

    @property
    def report(self) -> IndexReport:
        return self.whole.report

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.whole.notes, *([self.told] if self.told else []))

    @property
    def unreadable(self) -> Sequence[tuple[str, str]]:
        return self.whole.unreadable

    @property
    def parts(self) -> tuple[int, ...]:
        return self.whole.parts

    @cached_property
    def remote_bytes(self) -> Sequence[int]:
        sizes = zip(self.whole.remote_bytes, self.counts, strict=True)
        return [size if count else 0 for size, count in sizes]

    @property
    def transfers(self) -> Transfers:
        return self.whole.transfers

    def prefetch(self, shards: Sequence[int]) -> None:
        self.whole.prefetch(shards)

    def same_pictures(self) -> UInt64[np.ndarray, " n"] | None:
        same = self.whole.same_pictures()
        if same is None:
            return None
        found: UInt64[np.ndarray, " n"] = same[self.ids] if self.kept else np.delete(same, self.ids)
        return found

    @cached_property
    def _len(self) -> int:
        return len(self.ids) if self.kept else len(self.whole) - len(self.ids)

    def __len__(self) -> int:
        return self._len

    @cached_property
    def _shifts(self) -> Int64[np.ndarray, " m"]:
        """For each left-out id how many pairs of this part come before it."""
        shifts: Int64[np.ndarray, " m"] = self.ids - np.arange(len(self.ids))
        return shifts

    def _said(self, number: int) -> Text:
        """One that cannot be read says nothing here; whoever reads its picture is told why."""
        try:
            return self.whole.text(number)
        except BadSample as error:
            return Text(error.key, (), {})


@final
class _Keys(Keys):
    """The keys of a part. All keys of the whole are listed only where the part is a good share of it."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def key(self, i: int) -> str:
        part, number = self._part, self._part.number_in_whole(i)
        if part.kept and len(part.whole) > _FEW * len(part):
            return part._said(number).key
        return part.whole.keys[number]

    def __len__(self) -> int:
        return len(self._part)
