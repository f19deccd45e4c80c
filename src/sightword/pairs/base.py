"""What every source of pairs answers: an indexable data set without state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import SupportsIndex

import numpy as np
from jaxtyping import UInt64

from sightword.pairs.remote.transfers import Transfers
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import IndexReport


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
        """Key, captions and fields of pair `i`, without reading its picture."""

    @property
    @abstractmethod
    def counts(self) -> tuple[int, ...]:
        """How many pairs each shard (or block of a table) holds, in order: pair numbers run through them."""

    @property
    @abstractmethod
    def keys(self) -> Sequence[str]:
        """The key of every pair. Of a large source this takes long: ask `text(i).key` for one."""

    @property
    @abstractmethod
    def data_hash(self) -> str:
        """A hash of what the pairs are; the same on every machine and under every path."""

    @property
    @abstractmethod
    def report(self) -> IndexReport:
        """What was found and what was left out, before any choice of a split."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how these pairs were found: a line each."""
        return ()

    @property
    def unreadable(self) -> Sequence[tuple[str, str]]:
        """What was found bad when these were opened, and left out: key (or name of a shard) and reason.

        Samples that turn out bad when they are read raise `BadSample`, and are not among these.
        """
        return ()

    @property
    def parts(self) -> tuple[int, ...]:
        """How many of `counts` belong to each of the sources that `::` joined."""
        return (len(self.counts),)

    @property
    def remote_bytes(self) -> Sequence[int]:
        """For each of `counts`, bytes that have to be fetched from elsewhere to read it; 0: it lies here."""
        return [0] * len(self.counts)

    @property
    def transfers(self) -> Transfers:
        """What was fetched from elsewhere since this was opened, by all processes together."""
        return Transfers()

    def prefetch(self, shards: Sequence[int]) -> None:  # noqa: B027  most sources have nothing to fetch
        """Fetch what lies elsewhere of these shards (places in `counts`), the first one first.

        Returns at once: it is done in the background, in place of what was asked for before. For the main
        process alone; a shard that is not there when it is read is fetched by its reader.
        """

    def same_pictures(self) -> UInt64[np.ndarray, " n"] | None:
        """A mark of each pair's picture, equal where two pairs are known to show one; None: each has its own.

        From where pictures lie and what they are called, without reading any. Marks are of this machine:
        only which of them are equal means anything.
        """
        return None

    def __len__(self) -> int:
        return int(sum(self.counts))

    def texts(self) -> Iterator[Text]:
        """`text` of every pair in order: what a tokenizer trains on and an evaluation groups by."""
        return (self.text(i) for i in range(len(self)))
