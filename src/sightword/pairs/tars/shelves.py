"""Shards that lie in one folder, here or elsewhere: their sizes, what they hold, and their index."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64

from sightword.errors import SightwordError
from sightword.pairs.files import cache_dir, write_to_cache, write_whole
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.indices import examine
from sightword.pairs.remote.stores import read_file
from sightword.pairs.tars.contents import CORPUS
from sightword.pairs.tars.corpus_index import UNREADABLE, CorpusIndex, Described
from sightword.pairs.tars.examine import examine_tars, repeated_keys

LOOKED_AT = 20_000  # local shards whose size is looked at when a data set is opened
_THREADS = 16  # that look; network file systems answer many at once
_PIECE = 256


class Shelf(ABC):
    """Shards of one folder.

    Args:
        folder: where they lie, with its last slash; empty for the working folder.
        names: of the files, in the order that is wanted.
    """

    def __init__(self, folder: str, names: Sequence[str]) -> None:
        self.folder, self.names = folder, list(names)

    @abstractmethod
    def read_index(self) -> tuple[CorpusIndex, str]:
        """The folder's index, empty where there is none or none can be used, and why so, or nothing."""

    @abstractmethod
    def write_index(self, index: CorpusIndex) -> str:
        """Keep an index where `read_index` finds it; says where that is.

        Raises:
            SightwordError: it cannot be written.
        """

    @abstractmethod
    def sizes(self) -> Int64[np.ndarray, " n"]:
        """The bytes of each shard; -1 of those that were not looked at.

        Raises:
            SightwordError: a shard cannot be read.
        """

    @abstractmethod
    def examined(self, rows: Sequence[int]) -> list[Described]:
        """What some of the shards hold, from the shards themselves.

        Raises:
            SightwordError: a shard cannot be read, or is damaged.
        """

    @abstractmethod
    def still_there(self, name: str) -> bool:
        """Whether another shard of the folder is there, as far as can be told."""

    def repeated_keys(self) -> int | None:
        """How many samples have a key that came before; None where that is not known."""
        return None

    @property
    def _cached(self) -> str:
        """Where in the cache an index lies that cannot lie beside the shards."""
        place = self.folder if "://" in self.folder else os.path.realpath(self.folder or ".")
        key = hashlib.blake2b(place.encode(errors="surrogateescape"), digest_size=16).hexdigest()
        return f"index/{key}.arrow"

    def _from_cache(self) -> tuple[CorpusIndex, str]:
        return _read(cache_dir() / self._cached)


@final
class LocalShelf(Shelf):
    """Shards on this machine. Their index lies beside them, or in the cache where that is read-only."""

    def read_index(self) -> tuple[CorpusIndex, str]:
        index, why = _read(Path(self.folder, CORPUS))
        return (index, why) if len(index) or why else self._from_cache()

    def write_index(self, index: CorpusIndex) -> str:
        beside, content = Path(self.folder, CORPUS), index.packed()
        try:
            write_whole(beside, lambda file: file.write(content))
        except OSError:
            return str(write_to_cache(self._cached, lambda file: file.write(content)))
        return str(beside)

    def sizes(self) -> Int64[np.ndarray, " n"]:
        count = len(self.names)
        looked_at = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(np.int64))
        pieces = [looked_at[start : start + _PIECE] for start in range(0, len(looked_at), _PIECE)]
        sizes = np.full(count, -1, dtype=np.int64)
        with ThreadPoolExecutor(_THREADS) as pool:
            for piece, found in zip(pieces, pool.map(self._look, pieces), strict=True):
                sizes[piece] = found
        return sizes

    def examined(self, rows: Sequence[int]) -> list[Described]:
        names = [self.names[row] for row in rows]
        found = examine_tars([self.folder + name for name in names])
        return [Described(name, size, facts) for name, (size, facts) in zip(names, found, strict=True)]

    def still_there(self, name: str) -> bool:
        return os.path.isfile(self.folder + name)

    def repeated_keys(self) -> int | None:
        return repeated_keys([self.folder + name for name in self.names])

    def _look(self, rows: Int64[np.ndarray, " n"]) -> list[int]:
        paths = [self.folder + self.names[row] for row in rows.tolist()]
        try:
            return [os.stat(path).st_size for path in paths]
        except OSError as error:
            raise SightwordError(
                f"cannot read '{error.filename}': {error.strerror}; bring it back"
            ) from error


@final
class RemoteShelf(Shelf):
    """Shards elsewhere, looked at already. Their index lies beside them, or in the cache when we wrote it."""

    def __init__(self, folder: str, remotes: Sequence[Remote], cache: ShardCache) -> None:
        super().__init__(folder, [remote.address.rpartition("/")[2] for remote in remotes])
        self.remotes, self.cache = remotes, cache

    def read_index(self) -> tuple[CorpusIndex, str]:
        try:
            content = read_file(f"{self.folder}{CORPUS}", self.cache.patience)
        except SightwordError as error:
            # Some stores answer that nothing is there with a refusal; our own copy may do.
            index, _ = self._from_cache()
            return index, "" if len(index) else str(error)
        if content is None:
            return self._from_cache()
        return _parsed(content)

    def write_index(self, index: CorpusIndex) -> str:
        content = index.packed()
        return str(write_to_cache(self._cached, lambda file: file.write(content)))

    def sizes(self) -> Int64[np.ndarray, " n"]:
        return np.array([remote.size for remote in self.remotes], dtype=np.int64)

    def examined(self, rows: Sequence[int]) -> list[Described]:
        remotes = [self.remotes[row] for row in rows]
        found = examine(remotes, self.cache)
        return [
            Described(self.names[row], self.remotes[row].size, facts)
            for row, facts in zip(rows, found, strict=True)
        ]

    def still_there(self, name: str) -> bool:
        return True  # a shard that is not is told of when it is asked for


def _read(path: Path) -> tuple[CorpusIndex, str]:
    try:
        return _parsed(path.read_bytes())
    except FileNotFoundError:
        return CorpusIndex.of(()), ""
    except OSError as error:
        return CorpusIndex.of(()), str(error)


def _parsed(content: bytes) -> tuple[CorpusIndex, str]:
    try:
        return CorpusIndex.read(content), ""
    except UNREADABLE as error:
        return CorpusIndex.of(()), str(error) or type(error).__name__
