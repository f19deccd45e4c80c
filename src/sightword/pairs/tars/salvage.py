"""All that a damaged tar still holds: before the damage, and after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sightword.errors import SightwordError
from sightword.pairs.tars.tar import BLOCK, Tar

_MAGIC = b"ustar"  # of POSIX and of GNU
_MAGIC_AT = 257  # in a header
_CHUNK = 1 << 20


class File(NamedTuple):
    """A member of a tar, without its bytes."""

    name: str
    offset: int
    size: int
    regular: bool


class Damage(NamedTuple):
    """A place where a tar cannot be walked on."""

    start: int
    end: int  # where the next header was found, or the tar ends
    reason: str

    def told(self) -> str:
        """In words, with what was passed over."""
        skipped = self.end - self.start
        return self.reason + (
            f"; {skipped:,} bytes passed over, the next file is at byte {self.end:,}" if skipped else ""
        )


def survey(tar: Tar) -> tuple[list[File], list[Damage]]:
    """Every file whose header is sound, and what is wrong in between.

    Behind damage the next header is looked for at any byte: by its magic, and sound by its checksum. Where
    one lies inside the file before the damage, that file lost bytes and is left out, as is one that reaches
    beyond the tar's end; bytes lost behind a file, where tar fills up a block, cost nothing. A file whose
    own header is damaged cannot be told from garbage.
    """
    files, damages, start = list[File](), list[Damage](), 0
    while not damages or start < tar.stat.st_size:
        position, before = start, len(files)
        try:
            for member in tar.members(start):
                files.append(File(member.name, member.offset, member.size, member.regular))
                position = member.offset + member.size
            break
        except (SightwordError, OSError) as error:
            reason = _reason(error, tar)
        first = files[-1].offset if len(files) > before else start + 1  # where a walk failed it fails again
        start = _next_header(tar, first)
        if start < position:
            lost = files.pop()
            reason = f"lost bytes inside '{lost.name}', and {reason}"
        damages.append(Damage(min(position, start), start, reason))
    return files, damages


def _next_header(tar: Tar, position: int) -> int:
    """Where a walk can go on, from `position` on."""
    for header in _headers(tar, position):
        try:
            next(tar.members(header))
            return header
        except (SightwordError, StopIteration):
            continue
    return tar.stat.st_size


def _headers(tar: Tar, position: int) -> Iterator[int]:
    """Places that look like a header."""
    size = tar.stat.st_size
    while position < size:
        chunk = tar.read(position, min(_CHUNK + BLOCK, size - position))
        found = chunk.find(_MAGIC, _MAGIC_AT)
        while 0 <= found < _CHUNK + _MAGIC_AT:
            yield position + found - _MAGIC_AT
            found = chunk.find(_MAGIC, found + 1)
        position += _CHUNK


def _reason(error: Exception, tar: Tar) -> str:
    """What the reader says, without the name of the tar, which is said beside it, and without its advice."""
    told = str(error).removeprefix(f"'{tar.name}' ").partition("; ")[0].partition(" (if it is known")[0]
    return told if isinstance(error, SightwordError) else f"the disk cannot read it: {told}"
