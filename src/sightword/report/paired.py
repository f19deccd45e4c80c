"""Differences between two runs that answered the same questions, with their paired intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sightword.errors import SightwordError
from sightword.evaluation.compare import Difference, compare_runs
from sightword.report.records import Measure, Run


@dataclass(frozen=True)
class Paired:
    """Second run minus first in every measure of both, in the order of the first run's scores.

    `problem` says why there is none, when there is none.
    """

    found: Mapping[Measure, Difference]
    problem: str = ""


def paired(first: Run, second: Run) -> Paired:
    """The paired differences of two runs."""
    try:
        found = {measure_of(d): d for d in compare_runs(first.path, second.path)}
    except SightwordError as error:
        return Paired({}, str(error))
    place = {measure: i for i, measure in enumerate(first.final)}
    ordered = sorted(found, key=lambda measure: place.get(measure, len(place)))
    return Paired({measure: found[measure] for measure in ordered})


def measure_of(difference: Difference) -> Measure:
    """What was measured."""
    return Measure(difference.dataset, difference.split, difference.task, difference.metric)


def is_shown(difference: Difference) -> bool:
    """Whether the 95 % interval leaves out zero."""
    return difference.difference.low > 0 or difference.difference.high < 0


def survives(difference: Difference) -> bool:
    """Whether it is still significant at 5 % after Holm's correction over all scores of the two runs."""
    return difference.adjusted is not None and difference.adjusted < 0.05
