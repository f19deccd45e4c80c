"""A tar read by random access: a lean walk over its headers, and reads at an offset.

Only what a data set needs of POSIX.1-2001 (ustar and pax) and of GNU tar: names of any length and sizes
above 8 GiB. A walk costs a third of `tarfile`'s and keeps no object for each member.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, final

from sightword.errors import SightwordError

BLOCK = 512
_ZEROS = bytes(BLOCK)
_AHEAD = 4096  # a header and, mostly, the whole of a caption after it, in one read
_REGULAR, _FOLDER, _NAMING = b"0\x007", b"5", b"xLKg"


class Member(NamedTuple):
    """A file inside a tar: where its bytes lie, and the first few thousand of them."""

    name: str
    offset: int
    size: int
    head: bytes
    regular: bool  # False for links, devices and sparse files, whose bytes are not simply here


class _Header(NamedTuple):
    name: str
    size: int
    kind: bytes


@final
class Tar:
    """An open tar. Reads carry their own offset (`pread`), so threads and forked workers may share it.

    Args:
        path: of the file.
        name: what a user calls it, where that is not its path.

    Raises:
        SightwordError: it cannot be opened.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self.path, self.name = path, name or str(path)
        try:
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise SightwordError(
                f"cannot read '{path}': {error.strerror}; check its name and rights"
            ) from error
        self.stat = os.fstat(self._handle)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)

    @property
    def removed(self) -> bool:
        """Whether the file has no name any more; its bytes go when this is closed."""
        return os.fstat(self._handle).st_nlink == 0

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`.

        Raises:
            SightwordError: the file became shorter than it was.
            OSError: the disk failed.
        """
        data = os.pread(self._handle, size, offset)
        if len(data) != size:
            raise SightwordError(f"'{self.name}' became shorter while it was read; restore it and resume")
        return data

    def members(self, start: int = 0) -> Iterator[Member]:
        """Every file in the tar, in order; folders are passed over.

        Args:
            start: where a header lies, from which the walk begins.

        Raises:
            SightwordError: the file is not a tar, is cut short, is damaged, or holds more after its end.
        """
        position, extended = start, dict[str, str]()
        while True:
            block = os.pread(self._handle, _AHEAD, position)
            if len(block) < BLOCK:
                raise self._without_end(block, position)
            if block.startswith(_ZEROS):
                return self._check_end(position)
            header = self._header(block, position)
            size = self._size(extended.get("size"), header, position)
            start = position + BLOCK
            if start + size > self.stat.st_size:
                raise self._cut_short(f"inside '{header.name}'", start + size)
            if header.kind in _NAMING:
                extended |= _extension(header.kind, self.read(start, size))
            else:
                if header.kind not in _FOLDER:
                    regular = header.kind in _REGULAR and "GNU.sparse.major" not in extended
                    name = extended.get("path", header.name)
                    yield Member(name, start, size, block[BLOCK : BLOCK + size], regular)
                extended = {}
            position = start + -(-size // BLOCK) * BLOCK

    def _header(self, block: bytes, position: int) -> _Header:
        try:
            sound = int(block[148:156].strip(b" \0"), 8) == sum(block[:148]) + 256 + sum(block[156:BLOCK])
            size = _number(block[124:136])
        except ValueError:
            sound = False
        if not sound:
            raise self._damaged(block, position)
        name = block[:100].split(b"\0", 1)[0]
        if block[257:263] == b"ustar\0" and block[345]:
            name = block[345:500].split(b"\0", 1)[0] + b"/" + name
        return _Header(_text(name), size, block[156:157])

    def _size(self, extended: str | None, header: _Header, position: int) -> int:
        if extended is None:
            return header.size
        if not extended.isdecimal() or len(extended) > 19:
            raise self._damaged(b"", position)
        return int(extended)

    def _damaged(self, block: bytes, position: int) -> SightwordError:
        if position:
            return SightwordError(
                f"'{self.name}' is damaged: no tar header at byte {position:,}; fetch or pack it again"
            )
        if block.startswith(b"\x1f\x8b"):
            return SightwordError(compressed(self.name))
        return SightwordError(
            f"'{self.name}' is not a tar (it begins with {block[:8]!r}); give a tar of pairs"
        )

    def _cut_short(self, where: str, wanted: int) -> SightwordError:
        return SightwordError(
            f"'{self.name}' is cut short: it ends at byte {self.stat.st_size:,} {where}, "
            f"which needs {wanted:,} bytes; fetch or pack it again"
        )

    def _without_end(self, block: bytes, position: int) -> SightwordError:
        if position == 0 and block:
            return self._damaged(block, position)
        if position < self.stat.st_size:
            return self._cut_short("inside a header", position + BLOCK)
        if position > self.stat.st_size:
            return self._cut_short("in a member's padding", position)
        return SightwordError(
            f"'{self.name}' is cut short: it ends at byte {position:,} without tar's end mark; fetch or pack "
            f"it again (if it is known to be whole: truncate -s +1024 '{self.name}')"
        )

    def _check_end(self, position: int) -> None:
        """A second archive behind the first (`cat a.tar b.tar`) would be lost without a word."""
        for start in range(position, self.stat.st_size, 1 << 20):
            if os.pread(self._handle, 1 << 20, start).strip(b"\0"):
                raise SightwordError(
                    f"'{self.name}' goes on after tar's end mark at byte {position:,}; "
                    "if two tars were joined with cat, give them apart, as first.tar::second.tar"
                )


def compressed(path: Path | str) -> str:
    """What to tell a user who gives a compressed tar."""
    return (
        f"'{path}' is compressed, and pairs are read by random access, which needs a plain tar; "
        f"unpack it with: gunzip -k '{path}'"
    )


def _number(field: bytes) -> int:
    """A size: octal digits, or GNU's base 256 for what they cannot hold."""
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << 95) - 1)
    digits = field.strip(b" \0") or b"0"
    if not digits.isdigit():  # a sign would lead backwards, and round in circles
        raise ValueError("no octal number")
    return int(digits, 8)


def _text(name: bytes) -> str:
    """Names are nearly always UTF-8; other bytes stay apart from each other and printable."""
    return name.decode("utf-8", errors="backslashreplace")


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    """What a header says of the next one: GNU's long name, or pax records `LENGTH key=value`."""
    if kind == b"L":
        return {"path": _text(data.split(b"\0", 1)[0])}
    records = dict[str, str]()
    while kind == b"x" and data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or len(length) > 19 or int(length) < len(length) + 3:
            break
        key, _, value = rest[: int(length) - len(length) - 1].rstrip(b"\n").partition(b"=")
        records[_text(key)] = _text(value)
        data = data[int(length) :]
    return records
