"""The learning rate of each arm, chosen on validation pairs: as many trials for each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from sightword.errors import SightwordError
from sightword.study.arms import Arm
from sightword.study.design import Study
from sightword.study.grid import Rates, trials
from sightword.study.points import own_scores

Tried = dict[tuple[str, Arm], tuple[tuple[float, float], ...]]  # rates and their scores; NaN: it failed


def tried(study: Study, out: Path) -> Tried:
    """What each arm of each model reached with each rate, on the validation pairs."""
    found: Tried = {}
    for cell in trials(study):
        scores = [score.value for score in own_scores(out / cell.folder)]
        value = sum(scores) / len(scores) if scores else math.nan
        found[cell.model, cell.arm] = (*found.get((cell.model, cell.arm), ()), (cell.lr, value))
    return found


def chosen(found: Tried) -> Rates:
    """The rate of the best trial; of equal ones the smallest.

    Raises:
        SightwordError: no trial of an arm has a score.
    """
    return {which: _best(which, some) for which, some in found.items()}


def at_the_edge(found: Tried, rates: Rates) -> Iterable[str]:
    """A sentence for each arm whose best rate is the smallest or largest that was tried."""
    for (model, arm), some in found.items():
        every = [lr for lr, _ in some]
        if len(every) > 1 and rates[model, arm] in (min(every), max(every)):
            side = "smallest" if rates[model, arm] == min(every) else "largest"
            yield (
                f"{arm.name} on {model} did best with the {side} learning rate that was tried,"
                f" {rates[model, arm]:g}; a better one may lie beyond"
            )


def _best(which: tuple[str, Arm], some: Iterable[tuple[float, float]]) -> float:
    scored = [(value, -lr) for lr, value in some if not math.isnan(value)]
    if not scored:
        model, arm = which
        raise SightwordError(
            f"no trial of a learning rate of '{arm.name}' on {model} came to a score; look at the log.txt of"
            " each in the study's trials/, and give other --lrs, or --lr for all arms"
        )
    return -max(scored)[1]
