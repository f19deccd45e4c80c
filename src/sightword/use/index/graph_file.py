"""A file of faiss' graph of neighbours, looked through before faiss reads it.

faiss follows the links of a graph without asking whether they lead anywhere, so a file that somebody made up
could make it read whatever lies in memory. As `faiss/impl/index_write.cpp` writes `IndexHNSWFlat`: the head
of an index; five lists, each behind its length (chances of levels, slots up to each level, level of each
node, its first slot, links); five numbers; and the vectors as an index of their own.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, final

import numpy as np

HEAD = struct.Struct("<4siqqq?i")  # mark, width, count, two unused, trained, metric
MARKS = {"flat": b"IxFI", "hnsw": b"IHNf"}
INNER_PRODUCT = 0
_LENGTH, _LAST = struct.Struct("<Q"), struct.Struct("<5i")
_DEEPEST, _MOST = 64, 1 << 20  # levels; nodes visited at once


def check_graph(path: Path, count: int, width: int, links: int) -> None:
    """See that a file holds a graph that can be searched, to the last byte.

    Args:
        path: of the file, whose head was looked at.
        count: of nodes, one or more.
        width: numbers of a vector.
        links: of a node on each level; on the lowest twice as many.

    Raises:
        ValueError: it does not, with the reason.
    """
    file = _File(np.memmap(path, np.uint8, "r"))
    file.at = HEAD.size
    file.numbers("<f8", _DEEPEST)
    slots = file.numbers("<i4", _DEEPEST)
    _demand(len(slots) > 1, "it has no levels")
    wanted = [0, *(links * level for level in range(2, len(slots) + 1))]
    _demand(slots.tolist() == wanted, "its levels have other numbers of links")
    levels, starts = file.numbers("<i4", count), file.numbers("<u8", count + 1)
    _demand(len(levels) == count and len(starts) == count + 1, "it has another number of nodes")
    _demand(levels.min() > 0 and levels.max() < len(slots), "a node is on a level that there is not")
    ends = np.cumsum(slots[levels], dtype=np.uint64)
    _demand(starts[0] == 0 and np.array_equal(starts[1:], ends), "links of a node are not where they belong")
    linked = file.numbers("<i4", int(ends[-1]))
    _demand(len(linked) == ends[-1], "links are missing")
    _check_links(linked, levels, starts, slots)
    _check_last(file.take(_LAST), levels)
    head = (MARKS["flat"], width, count, True, INNER_PRODUCT)
    mark, *own, _, _, trained, metric = file.take(HEAD)
    _demand((mark, *own, trained, metric) == head, "its vectors are no flat index of their own")
    _demand(
        file.take(_LENGTH) == (width * count,) and file.left() == 4 * width * count, "vectors are missing"
    )


def _check_links(linked: np.ndarray, levels: np.ndarray, starts: np.ndarray, slots: np.ndarray) -> None:
    """A link leads to a node, and one of an upper level to a node that is there, too; -1 is none."""
    _demand(linked.min() >= -1 and linked.max() < len(levels), "a link leads to no node")
    for level in range(1, int(levels.max())):
        here = np.flatnonzero(levels > level)
        first = starts[here].astype(np.int64) + int(slots[level])
        to = linked[first[:, None] + np.arange(slots[level + 1] - slots[level])]
        _demand((levels[to[to >= 0]] > level).all(), "a link leads to a level where its node is not")


def _check_last(last: tuple[int, ...], levels: np.ndarray) -> None:
    entry, highest, building, visited, _ = last
    _demand(0 <= entry < len(levels), "a search would begin at no node")
    _demand(highest == levels[entry] - 1 == levels.max() - 1, "a search would begin on another level")
    _demand(0 < building <= _MOST and 0 < visited <= _MOST, "it would visit no nodes, or too many")


@final
class _File:
    """Bytes, and how far they are read."""

    def __init__(self, content: np.ndarray) -> None:
        self.content, self.at = content, 0

    def left(self) -> int:
        return len(self.content) - self.at

    def take(self, form: struct.Struct) -> tuple[Any, ...]:
        _demand(self.left() >= form.size, "it is cut short")
        self.at += form.size
        return form.unpack(self.content[self.at - form.size : self.at].tobytes())

    def numbers(self, kind: str, most: int) -> np.ndarray:
        """A list behind its length; no copy where it lies evenly."""
        (length,) = self.take(_LENGTH)
        size = length * np.dtype(kind).itemsize
        _demand(length <= most and size <= self.left(), "a list is longer than it can be")
        self.at += size
        found: np.ndarray = np.frombuffer(self.content, kind, length, self.at - size)
        return found


def _demand(holds: object, why: str) -> None:
    if not holds:
        raise ValueError(why)
