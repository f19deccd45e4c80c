"""Pictures read from where they lie: a file, a zip archive, a row of a table."""

from __future__ import annotations

import os
import struct
import threading
import weakref
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Generic, NamedTuple, TypeVar, final

import pyarrow as pa
import pyarrow.parquet as pq

OPEN = 64  # archives and tables that a process keeps open
DECODED = 512 << 20  # bytes of decoded row groups that a process keeps
_HEADER = struct.Struct("<4s22xHH")  # a zip's local header: its mark, and the lengths of name and extra
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
T = TypeVar("T")


_LOCKED = weakref.WeakSet["Latest[Any]"]()


def _after_fork() -> None:
    for latest in list(_LOCKED):
        latest.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Kind(IntEnum):
    """Where a picture lies, as a list says it."""

    FILE = 0
    ZIP = 1
    INLINE = 2
    TABLE = 3


class Span(NamedTuple):
    """A member of a zip archive."""

    offset: int  # of its local header
    size: int  # as stored
    method: int
    crc: int


class UnreadableError(Exception):
    """Why a picture cannot be read."""


@final
class Latest(Generic[T]):
    """What was used last, up to a total weight; the newest is always kept. Used by threads.

    What is pushed out closes itself when its last reader lets go of it.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: OrderedDict[object, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()
        _LOCKED.add(self)

    def unlock(self) -> None:
        """A lock that nobody holds, in a process forked while a thread of its parent held it."""
        self._lock = threading.Lock()

    def get(self, key: object, make: Callable[[], T], weigh: Callable[[T], int] = lambda _: 1) -> T:
        """The thing of that key, made when it is not here. Made without the lock: others go on reading."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found[0]
        made = make()
        with self._lock:
            self._held[key] = (made, weigh(made))
            total = sum(weight for _, weight in self._held.values())
            while total > self.most and len(self._held) > 1:
                total -= self._held.popitem(last=False)[1][1]
        return made


@final
class _Descriptor:
    """An open file. Reads carry their own offset, so threads and forked workers may share it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._number = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if hasattr(self, "_number"):
            os.close(self._number)

    def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._number, size, offset)
        if len(data) != size:
            raise UnreadableError(f"'{self.path}' is shorter than it was")
        return data


@final
class Pictures:
    """Reads pictures by random access. Holds what is open in this process only.

    Args:
        places: the archives and tables that pictures lie in, each with the column that holds them.
    """

    def __init__(self, places: tuple[tuple[str, str], ...]) -> None:
        self.places = places
        self._archives = Latest[_Descriptor](OPEN)
        self._tables = Latest["ParquetTable | ArrowTable"](OPEN)
        self._groups = Latest[pa.Array](DECODED)

    def from_file(self, path: str) -> bytes:
        """A file's bytes.

        Raises:
            UnreadableError: it is not there, or the disk failed.
        """
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read()
        except OSError as error:
            raise UnreadableError(f"'{path}' cannot be read: {error.strerror}") from error

    def from_zip(self, place: int, span: Span) -> bytes:
        """A member's bytes, checked against its checksum.

        Raises:
            UnreadableError: the archive is gone, was changed or is damaged.
        """
        path = self.places[place][0]
        try:
            archive = self._archives.get(place, lambda: _Descriptor(path))
            mark, name, extra = _HEADER.unpack(archive.read(span.offset, _HEADER.size))
            if mark != b"PK\3\4":
                raise UnreadableError(f"'{path}' was changed, or is damaged")
            stored = archive.read(span.offset + _HEADER.size + name + extra, span.size)
            data = zlib.decompress(stored, -zlib.MAX_WBITS) if span.method == _DEFLATED else stored
        except OSError as error:
            raise UnreadableError(f"'{path}' cannot be read: {error.strerror}") from error
        except zlib.error as error:
            raise UnreadableError(f"'{path}' is damaged: {error}") from error
        if zlib.crc32(data) != span.crc:
            raise UnreadableError(f"'{path}' was changed, or is damaged: a checksum is wrong")
        return data

    def from_table(self, place: int, group: int, row: int) -> bytes:
        """The bytes in a row of a table.

        Raises:
            UnreadableError: the table is gone, was changed or is damaged.
        """
        path, column = self.places[place]
        try:
            table = self._tables.get(place, lambda: open_table(path))
            pictures = self._groups.get((place, group), lambda: table.column(group, column), _weight)
            content = pictures[row].as_py()
        except (OSError, pa.ArrowException, IndexError, KeyError) as error:
            raise UnreadableError(f"'{path}' cannot be read: {error}") from error
        if not isinstance(content, bytes):
            raise UnreadableError(f"'{path}' holds no picture in row {row} of group {group}")
        return content


@final
class ParquetTable:
    """A Parquet file; its groups are row groups."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.metadata = pq.read_metadata(path)

    def column(self, group: int, name: str) -> pa.Array:
        """One column of a row group; a dot leads into a struct."""
        with pq.ParquetFile(self.path, metadata=self.metadata, memory_map=True) as file:
            table = file.read_row_group(group, columns=[name], use_threads=False)
        return _inside(table.column(0).combine_chunks(), name)


@final
class ArrowTable:
    """An Arrow stream or file, mapped into memory; its groups are record batches."""

    def __init__(self, path: str) -> None:
        source = pa.memory_map(path)
        with pa.ipc.open_file(source) if _is_arrow_file(path) else pa.ipc.open_stream(source) as reader:
            self.schema = reader.schema
            self.batches = reader.read_all().to_batches()

    def column(self, group: int, name: str) -> pa.Array:
        """One column of a batch, without a copy; a dot leads into a struct."""
        return _inside(self.batches[group].column(name.partition(".")[0]), name)


def open_table(path: str) -> ParquetTable | ArrowTable:
    """Whichever kind of table this is."""
    with open(path, "rb") as file:
        return ParquetTable(path) if file.read(4) == b"PAR1" else ArrowTable(path)


def spans_of(path: str) -> dict[str, Span]:
    """Where the members of a zip archive lie; those that are encrypted or oddly compressed are left out.

    Raises:
        UnreadableError: it is not there, or is no zip archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename: Span(info.header_offset, info.compress_size, info.compress_type, info.CRC)
                for info in archive.infolist()
                if info.compress_type in (_STORED, _DEFLATED) and not info.flag_bits & 1
            }
    except OSError as error:
        raise UnreadableError(f"'{path}' cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise UnreadableError(f"'{path}' is not a whole zip archive: {error}") from error


def _is_arrow_file(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(6) == b"ARROW1"


def _inside(column: pa.Array, name: str) -> pa.Array:
    for field in name.split(".")[1:]:
        column = column.field(field)
    return column


def _weight(column: pa.Array) -> int:
    return max(1, int(column.nbytes))
