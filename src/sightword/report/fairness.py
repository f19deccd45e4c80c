"""Which runs may be compared: on parts of one size, equally many samples seen or FLOPs spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sightword.report.records import Run

SAMPLES_APART = 0.001  # share of the larger by which equal numbers of samples may differ
FLOPS_APART = 0.02  # likewise of FLOPs: they come in whole steps


@dataclass(frozen=True)
class Fair:
    """Two runs on one budget. `first` is the one with fewer objectives, or else the one given earlier."""

    first: Run
    second: Run
    same_samples: bool
    same_flops: bool


def fair_comparisons(runs: Sequence[Run]) -> list[Fair]:
    """In each group of runs on one budget every run against the simplest; equal samples come first."""
    found: dict[tuple[str, str], Fair] = {}
    for group in (*_groups(runs, _same_samples), *_groups(runs, _same_flops)):
        first = min(group, key=lambda run: run.terms)
        for second in group:
            if second is not first and not found.keys() & {_pair(first, second), _pair(second, first)}:
                found[_pair(first, second)] = Fair(
                    first, second, _same_samples(first, second), _same_flops(first, second)
                )
    return list(found.values())


def _groups(runs: Sequence[Run], same: Callable[[Run, Run], bool]) -> list[list[Run]]:
    groups: list[list[Run]] = []
    for run in runs:
        home = next((group for group in groups if same(group[0], run)), None)
        if home is None:
            groups.append([run])
        else:
            home.append(run)
    return [group for group in groups if len(group) > 1]


def _pair(first: Run, second: Run) -> tuple[str, str]:
    return first.label, second.label


def _same_samples(a: Run, b: Run) -> bool:
    return _part(a) == _part(b) and _near(a.samples, b.samples, SAMPLES_APART)


def _same_flops(a: Run, b: Run) -> bool:
    return _part(a) == _part(b) and _near(a.flops, b.flops, FLOPS_APART)


def _part(run: Run) -> tuple[int, int]:
    """How much of the data a run had: more pairs help, whatever the objective."""
    return (run.config.data.samples, run.config.data.held_out) if run.config else (0, 0)


def _near(a: int | float, b: int | float, apart: float) -> bool:
    return min(a, b) > 0 and abs(a - b) <= apart * max(a, b)
