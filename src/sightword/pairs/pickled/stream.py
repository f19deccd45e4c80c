"""A pickle's operations and where their arguments lie, by the standard library's own table."""

from __future__ import annotations

import mmap
import pickletools
from collections.abc import Iterator
from typing import TypeAlias

from sightword.pairs.pickled.arrays import Refused

Operation: TypeAlias = tuple[int, int, int]  # code, and where its argument begins and ends

CODES = {op.name: ord(op.code) for op in pickletools.opcodes}
NAMES = {code: name for name, code in CODES.items()}
STOP = CODES["STOP"]
_ARGUMENTS = {ord(op.code): op.arg.n if op.arg else 0 for op in pickletools.opcodes}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_OF_TWO_LINES = frozenset((CODES["GLOBAL"], CODES["INST"]))


def operations(data: mmap.mmap, start: int) -> Iterator[Operation]:
    """Every operation up to the one that ends a pickle. Nothing is copied, whatever lengths are claimed.

    Raises:
        Refused: there is an unknown operation, or the file ends before the pickle does.
    """
    at, size = start, len(data)
    while at < size:
        code, begin = data[at], at + 1
        kind = _ARGUMENTS.get(code)
        if kind is None:
            raise Refused(f"byte {at:,} (0x{code:02x}) is no pickle operation")
        if kind >= 0:
            at = begin + kind
        elif kind == pickletools.UP_TO_NEWLINE:
            at = _behind_lines(data, begin, 2 if code in _OF_TWO_LINES else 1)
        else:
            prefix = _LENGTHS[kind]
            begin += prefix
            at = begin + int.from_bytes(data[begin - prefix : begin], "little")
        if at > size:
            break
        yield code, begin, at
        if code == STOP:
            return
    raise Refused("it ends before its end was told")


def _behind_lines(data: mmap.mmap, begin: int, count: int) -> int:
    for _ in range(count):
        found = data.find(b"\n", begin)
        if found < 0:
            return len(data) + 1
        begin = found + 1
    return begin
