"""Splits of data sets that their publishers did not split: drawn once and for all, and named so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from sightword.randomness import stream, uniform


def drawn(name: str, units: Sequence[object], percents: Sequence[int]) -> list[Int64[np.ndarray, " _"]]:
    """Positions of the units in each part, ascending.

    A draw depends on nothing but the data set's name and the unit itself. Units that are equal, such as
    two eyes of one patient, come into one part.

    Args:
        name: of the data set.
        units: what is drawn, such as the pictures' names.
        percents: of the distinct units in each part; they sum to 100.
    """
    assert sum(percents) == 100
    distinct = list(dict.fromkeys(units))
    position = {unit: i for i, unit in enumerate(distinct)}
    ids = np.array([stream(str(unit)) for unit in distinct], dtype=np.uint64)
    return _cut(name, ids, np.array([position[unit] for unit in units], dtype=np.int64), percents)


def drawn_rows(name: str, count: int, percents: Sequence[int]) -> list[Int64[np.ndarray, " _"]]:
    """The same of the rows 0 to count - 1 of an array."""
    rows = np.arange(count, dtype=np.int64)
    return _cut(name, rows.astype(np.uint64), rows, percents)


def part_name(part: str, percent: int) -> str:
    """What a drawn part is called in scores: `test-drawn-20pct`."""
    return f"{part}-drawn-{percent}pct"


def _cut(
    name: str, ids: np.ndarray, unit_of: Int64[np.ndarray, " n"], percents: Sequence[int]
) -> list[Int64[np.ndarray, " _"]]:
    order = np.argsort(uniform(0, stream("drawn split", name), ids, 0, 1)[:, 0], kind="stable")
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    ends = np.cumsum(percents) * len(ids) // 100
    part = np.searchsorted(ends, place, side="right")[unit_of]
    return [np.flatnonzero(part == number).astype(np.int64) for number in range(len(percents))]
