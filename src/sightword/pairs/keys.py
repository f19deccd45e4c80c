"""Keys that are read when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import overload


class Keys(Sequence[str]):
    """A sequence of keys. A subclass says how many, and each by its place."""

    @abstractmethod
    def key(self, i: int) -> str:
        """The key at a place, which may be negative.

        Raises:
            IndexError: there is none.
        """

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[str]: ...
    def __getitem__(self, i: int | slice) -> str | Sequence[str]:
        if isinstance(i, slice):
            return [self.key(k) for k in range(*i.indices(len(self)))]
        return self.key(i)
