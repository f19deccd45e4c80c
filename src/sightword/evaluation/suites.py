"""Means over a suite's data sets: always with how many of them, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from scipy.stats import norm

from sightword.evaluation.cards import suites
from sightword.statistics import Interval, normal_interval

Z95 = float(norm.isf(0.025))
EVERYTHING = "all that was compared"


@dataclass(frozen=True)
class Suite:
    """Which of a suite's data sets there are numbers of.

    suite: its name.
    sets: the data sets that a mean is over.
    of: how many the suite has.
    missing: the others.
    """

    suite: str
    sets: tuple[str, ...]
    of: int
    missing: tuple[str, ...]

    def said(self) -> str:
        """For people: "mean of 26 of 26 data sets"."""
        lacking = f" (missing: {', '.join(self.missing)})" if self.missing else ""
        return f"mean of {len(self.sets)} of {self.of} data sets{lacking}"


def present(datasets: Iterable[str]) -> list[Suite]:
    """The suites of which there are at least two data sets among these."""
    there = set(datasets)
    found = []
    for name, members in suites().items():
        names = [card.name for card in members]
        sets = tuple(one for one in names if one in there)
        if len(sets) > 1:
            missing = tuple(one for one in names if one not in there)
            found.append(Suite(name, sets, len(names), missing))
    return found


def everything(datasets: Sequence[str]) -> Suite:
    """All of them, whatever suite they belong to."""
    names = tuple(sorted(set(datasets)))
    return Suite(EVERYTHING, names, len(names), ())


def mean(values: Sequence[tuple[str, float, float]], sets: Iterable[str]) -> tuple[float, float]:
    """The mean over data sets and its standard error; of a set with several splits, their mean comes first.

    The sets are taken as given and as independent: the error is of their pictures, not of their choice.

    Args:
        values: data set, value and standard error of each split.
        sets: the data sets that the mean is over.
    """
    by_set: Mapping[str, list[tuple[float, float]]] = {name: [] for name in sets}
    for name, value, error in values:
        if name in by_set:
            by_set[name].append((value, error))
    means = [sum(value for value, _ in some) / len(some) for some in by_set.values()]
    errors = [sqrt(sum(error**2 for _, error in some)) / len(some) for some in by_set.values()]
    return sum(means) / len(means), sqrt(sum(error**2 for error in errors)) / len(errors)


def mean_interval(value: float, error: float) -> Interval:
    """The 95 % interval of a mean of shares, which lies between 0 and 1."""
    found = normal_interval(value, error)
    return Interval(value, max(0.0, found.low), min(1.0, found.high))


def p_of(value: float, error: float) -> float:
    """Two-sided p of a difference with this standard error."""
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * float(norm.sf(abs(value) / error))
