"""All that is asked of a study at once: for each question, each arm's gains, curve, crossover and law."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sightword.errors import SightwordError
from sightword.statistics import Interval
from sightword.study.analysis.crossovers import REACH, Crossover, crossover
from sightword.study.analysis.gain_curves import GainCurve, gain_curve
from sightword.study.analysis.gains import Change, Gain, change, corrected, gains
from sightword.study.analysis.grids import Grid, grids, pairs
from sightword.study.analysis.laws import Law, laws
from sightword.study.analysis.points import Question


@dataclass(frozen=True, eq=False)
class ArmAnswer:
    """One arm against the first.

    gains: at each size. curve: of the gain over size; it, crossover and change are None where fewer than two
        sizes have two seeds.
    """

    objective: str
    baseline: str
    gains: tuple[Gain, ...]
    curve: GainCurve | None
    crossover: Crossover | None
    change: Change | None

    def at(self, size: float | int) -> Interval | None:
        """The gain at any size by the curve, with its 95 % interval; None without a curve.

        Raises:
            SightwordError: when the size lies further than a decade from those that were run.
        """
        if self.curve is None:
            return None
        low, high = self.curve.sizes[0] / 10**REACH, self.curve.sizes[-1] * 10**REACH
        if not low <= size <= high:
            raise SightwordError(
                f"the runs are of {self.curve.sizes[0]:,.0f} to {self.curve.sizes[-1]:,.0f} samples; a gain "
                f"at {size:,.0f} would be a guess, ask within {low:,.0f} and {high:,.0f} or run nearer to it"
            )
        return self.curve.interval(size)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a study says to one question.

    grid: the numbers. arms: every objective but the first. laws: of each arm's error that could be fitted.
    main: whether it is the question of its task (the mean over data sets, or the only data set); the others
        are corrected as a family of their own.
    """

    grid: Grid
    arms: tuple[ArmAnswer, ...]
    laws: tuple[Law, ...]
    main: bool

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.grid.question


def analyse(points: Iterable, objectives: Sequence[str], resamples: int = 400, seed: int = 0) -> list[Answer]:
    """Answer every question that a study's points hold, those about means first.

    Args:
        points: `Point`s of all runs.
        objectives: the arms, the baseline first.
        resamples, seed: of the laws' bootstrap.

    Raises:
        SightwordError: when there are fewer than two objectives or the points are not a study's (`grids`).
    """
    if len(set(objectives)) < 2 or len(set(objectives)) < len(objectives):
        raise SightwordError(f"a study compares two different objectives or more, found {list(objectives)}")
    found = [_answer(grid, resamples, seed) for grid in grids(points, objectives)]
    averaged = {_task(answer) for answer in found if answer.question.is_mean}
    found = [replace(a, main=a.question.is_mean or _task(a) not in averaged) for a in found]
    for main in (True, False):
        some = [answer for answer in found if answer.main == main]
        judged = iter(corrected([gain for answer in some for gain in _gains(answer)]))
        done = {id(answer): _with(answer, judged) for answer in some}
        found = [done.get(id(answer), answer) for answer in found]
    return found


def _answer(grid: Grid, resamples: int, seed: int) -> Answer:
    arms = []
    for objective in grid.objectives[1:]:
        table = pairs(grid, objective)
        curve = gain_curve(table)
        crosses = crossover(curve) if curve else None
        of = (tuple(gains(table)), curve, crosses, change(table))
        arms.append(ArmAnswer(objective, grid.objectives[0], *of))
    return Answer(grid, tuple(arms), tuple(laws(grid, resamples, seed)), main=True)


def _task(answer: Answer) -> tuple[str, str, str]:
    asked = answer.question
    return asked.budget, asked.model, asked.task


def _gains(answer: Answer) -> list[Gain]:
    return [gain for arm in answer.arms for gain in arm.gains]


def _with(answer: Answer, judged: Iterator[Gain]) -> Answer:
    """The same with its gains taken from the corrected ones, in order."""
    arms = [replace(arm, gains=tuple(next(judged) for _ in arm.gains)) for arm in answer.arms]
    return replace(answer, arms=tuple(arms))
