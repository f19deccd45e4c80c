"""Pairs that a list describes: rows from anywhere, written down once, then read by random access.

A table of a million rows would fill a process's memory with Python objects, and each worker's again. The
list is an Arrow file in the cache folder instead, mapped into memory: the operating system keeps it once for
all processes, and opening it again costs next to nothing while what it was made from is unchanged.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import SupportsIndex, final

import numpy as np
import pyarrow as pa
from jaxtyping import UInt64

from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.files import cache_dir
from sightword.pairs.keys import Keys
from sightword.pairs.lists.keys import unnumbered
from sightword.pairs.lists.listing import Facts, Wanted, write_list
from sightword.pairs.lists.pictures import Kind, Pictures, Span, UnreadableError
from sightword.pairs.lists.rows import Row
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import IndexReport

_VERSION = 1
_LOOKED_AT = 64  # picture files of which the hash knows size and end
_TAIL = 256
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)


@dataclass(frozen=True)
class Stamp:
    """What a list was made from. A list is made anew when its stamp no longer fits.

    Args:
        place: a name of the list in the cache, one for each source and way of reading it.
        content: what changes when the source does.
    """

    place: str
    content: str

    @classmethod
    def of(cls, files: Iterable[str | os.PathLike[str]], *how: object) -> Stamp:
        """Of files by their names, sizes and times of change, and of all else that decides the rows.

        Raises:
            SightwordError: one of them cannot be looked at.
        """
        place = hashlib.blake2b(repr((_VERSION, how)).encode(), digest_size=16)
        content = place.copy()
        for file in files:
            path = os.path.realpath(file)
            try:
                stat = os.stat(path)
            except OSError as error:
                raise SightwordError(f"cannot read '{file}': {error.strerror}; check its name") from error
            name = path.encode(errors="surrogateescape") + b"\0"
            place.update(name)
            content.update(name + f"{stat.st_size} {stat.st_mtime_ns}\0".encode())
        return cls(place.hexdigest(), content.hexdigest())

    def of_content(self, content: str) -> Stamp:
        """The stamp of the same place and another content."""
        return replace(self, content=content)


def open_listed(rows: Iterable[Row], stamp: Stamp, wanted: Wanted) -> ListedPairs:
    """Serve rows as pairs. They are asked for only when no list of them fits the stamp: give a generator.

    Rows keep their order, and get their keys made sound (`keys.sound`) and told apart: one that comes again
    gets `~1`, `~2`. Captions lose outer white space; those that say nothing are dropped.

    Args:
        rows: in the same order whenever the stamp is the same.
        stamp: what they are made from.
        wanted: which of them are taken.

    Raises:
        SightwordError: no row is left, the split is unknown, or the cache folder cannot be written.
    """
    place = hashlib.blake2b(f"{stamp.place} {wanted.split} {wanted.captionless}".encode(), digest_size=16)
    name = f"lists/{place.hexdigest()}.arrow"
    path = cache_dir() / name
    try:
        if _facts(path).stamp != stamp.content:
            raise ValueError("made from something else")
    except _UNREADABLE:
        write_list(name, rows, wanted, stamp.content)
    return ListedPairs(path, wanted.name)


@final
class ListedPairs(Pairs):
    """Pairs of a list in the cache folder. Only the list's name is pickled: each process maps it itself."""

    def __init__(self, path: Path, name: str, digest: str = "") -> None:
        self.path, self.name = path, name
        try:
            with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
                self.facts = Facts.unpacked(reader.schema)
                self._blocks = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        except _UNREADABLE as error:
            raise SightwordError(
                f"the list of '{name}' in '{path}' is gone or damaged; start again"
            ) from error
        if digest not in ("", self.facts.digest):
            raise SightwordError(f"'{name}' was changed while it was read; start again")
        self._ends = np.cumsum(self.facts.counts)
        self._pictures = Pictures(tuple((place[0], place[1]) for place in self.facts.places))

    def __reduce__(self) -> tuple[type[ListedPairs], tuple[Path, str, str]]:
        return ListedPairs, (self.path, self.name, self.facts.digest)

    def __getitem__(self, i: SupportsIndex) -> Sample:
        block, row = self._find(i)
        text = _text(block, row)
        try:
            return Sample(text.key, text.captions, text.fields, self._picture(block, row))
        except UnreadableError as error:
            raise BadSample(text.key, str(error)) from error

    def text(self, i: SupportsIndex) -> Text:
        return _text(*self._find(i))

    def texts(self) -> Iterator[Text]:
        for block in self._blocks:
            columns = (block.column(name).to_pylist() for name in ("key", "captions", "fields"))
            for key, captions, fields in zip(*columns, strict=True):
                yield Text(key, tuple(captions), json.loads(fields) if fields else {})

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(self.facts.counts)

    @cached_property
    def keys(self) -> Sequence[str]:
        return _Keys(self)

    @cached_property
    def data_hash(self) -> str:
        """Of keys, captions, fields and their order; of pictures inside archives and tables the sizes or
        checksums; of picture files the names, and of 64 spread evenly also sizes and last bytes: to look at
        each of millions would take longer than the rest of opening them.
        """
        content = hashlib.blake2b(self.facts.digest.encode(), digest_size=16)
        for i in np.unique(np.linspace(0, len(self) - 1, _LOOKED_AT).astype(np.int64)).tolist():
            path = self.file(i)
            content.update(_end(path) if path is not None else b"")
        return content.hexdigest()

    @property
    def report(self) -> IndexReport:
        return IndexReport(**self.facts.report)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.facts.notes)

    def same_pictures(self) -> UInt64[np.ndarray, " n"]:
        """Equal where rows name one file or one member of an archive, or hold equal bytes. Of pictures inside
        tables the row's key tells, which is the picture's name where the table has names.
        """
        marks = (
            hashlib.blake2b(mark, digest_size=8).digest()
            for block in self._blocks
            for mark in _marks(block, self.facts)
        )
        return np.frombuffer(b"".join(marks), dtype="<u8").astype(np.uint64)

    def file(self, i: SupportsIndex) -> str | None:
        """The path of pair `i`'s picture when that is a file of its own."""
        block, row = self._find(i)
        path: bytes | None = block.column("path")[row].as_py()
        return None if path is None else os.fsdecode(path)

    def none_there(self, most: int = 100) -> str:
        """The first picture's path when the first `most` pictures are files that are not there; else ""."""
        paths = [self.file(i) for i in range(min(most, len(self)))]
        return "" if any(path is None or os.path.exists(path) for path in paths) else str(paths[0])

    def _find(self, i: SupportsIndex) -> tuple[pa.RecordBatch, int]:
        number = operator.index(i)
        total = int(self._ends[-1])
        place = number + total if number < 0 else number
        if not 0 <= place < total:
            raise IndexError(f"pair {number} of {total}")
        which = int(np.searchsorted(self._ends, place, side="right"))
        return self._blocks[which], place - int(self._ends[which]) + self.facts.counts[which]

    def _picture(self, block: pa.RecordBatch, row: int) -> bytes:
        kind = block.column("kind")[row].as_py()
        if kind == Kind.FILE:
            return self._pictures.from_file(os.fsdecode(block.column("path")[row].as_py()))
        if kind == Kind.INLINE:
            content: bytes = block.column("content")[row].as_py()
            return content
        place, spot = block.column("place")[row].as_py(), block.column("spot")[row].as_py()
        if kind == Kind.ZIP:
            return self._pictures.from_zip(place, Span(*spot))
        return self._pictures.from_table(place, spot[0], spot[1])


@final
class _Keys(Keys):
    """The keys of a list, read when asked for."""

    def __init__(self, pairs: ListedPairs) -> None:
        self._pairs = pairs

    def key(self, i: int) -> str:
        block, row = self._pairs._find(i)
        key: str = block.column("key")[row].as_py()
        return key

    def __iter__(self) -> Iterator[str]:
        for block in self._pairs._blocks:
            yield from block.column("key").to_pylist()

    def __len__(self) -> int:
        return len(self._pairs)


def _facts(path: Path) -> Facts:
    with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
        return Facts.unpacked(reader.schema)


def _text(block: pa.RecordBatch, row: int) -> Text:
    fields = block.column("fields")[row].as_py()
    captions = tuple(block.column("captions")[row].as_py())
    return Text(block.column("key")[row].as_py(), captions, json.loads(fields) if fields else {})


def _marks(block: pa.RecordBatch, facts: Facts) -> Iterator[bytes]:
    """What is known of each row's picture without reading it."""
    columns = ("kind", "key", "path", "place", "spot", "content")
    for kind, key, path, place, spot, content in zip(
        *(block.column(name).to_pylist() for name in columns), strict=True
    ):
        if kind == Kind.FILE:
            yield b"file " + os.path.normpath(path)
        elif kind == Kind.INLINE:
            yield b"bytes " + content
        elif kind == Kind.ZIP:
            yield f"zip {facts.places[place][0]} {spot}".encode(errors="surrogateescape")
        else:
            yield f"row {facts.digest} {unnumbered(key)}".encode(errors="surrogateescape")


def _end(path: str) -> bytes:
    """Size and last bytes of a file; of one that is not there, nothing."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            return f"{size} ".encode() + file.read(_TAIL)
    except OSError:
        return b"-"
