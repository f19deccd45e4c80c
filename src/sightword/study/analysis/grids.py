"""Points laid out as objectives x sizes x seeds, with what the test examples add to every pair of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from sightword.errors import SightwordError
from sightword.study.analysis.points import MEAN, Point, Question


@dataclass(frozen=True, eq=False)
class Grid:
    """The runs that answer one question; a run that is missing is NaN and is left out of what it would enter.

    values: shape (objectives, sizes, seeds), between 0 and 1.
    covariance: of the values, by the choice of test examples alone, shape (objectives, sizes, seeds,
        objectives, sizes, seeds). Seeds share the examples, so this part does not shrink with their number.
    floor: variance of a number that one test example decides, the least that is believed of any.
    units: independent units of test examples.
    paired: whether per-example outcomes were there; else arms count as independent, and seeds and
        examples as wholly shared, which widens every interval.
    """

    question: Question
    objectives: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    values: Float64[np.ndarray, "a i k"]
    covariance: Float64[np.ndarray, "a i k a i k"]
    floor: float
    units: int
    paired: bool
    datasets: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Pairs:
    """One arm less the first, seed by seed.

    differences: shape (sizes, seeds), NaN where either run is missing.
    covariance: of the differences by the choice of examples, shape (sizes, seeds, sizes, seeds).
    """

    objective: str
    baseline: str
    sizes: tuple[int, ...]
    differences: Float64[np.ndarray, "i k"]
    covariance: Float64[np.ndarray, "i k i k"]
    floor: float
    units: int

    @property
    def present(self) -> Bool[np.ndarray, "i k"]:
        """Which pairs of runs are there."""
        return np.isfinite(self.differences)


def grids(points: Iterable[Point], objectives: Sequence[str]) -> list[Grid]:
    """A grid for each question, and one for the mean over the data sets of each task (of two or more).

    Args:
        points: of all runs.
        objectives: the arms, the baseline first.

    Raises:
        SightwordError: when a point is there twice, is not between 0 and 1, is of an unknown objective, or
            was scored on other examples than the rest.
    """
    of: dict[Question, list[Point]] = {}
    for point in points:
        _check(point, objectives)
        of.setdefault(point.question, []).append(point)
    if not of:
        raise SightwordError("the study has no scores to analyse; evaluate its runs first")
    every = [point for some in of.values() for point in some]
    sizes, seeds = sorted({p.size for p in every}), sorted({p.seed for p in every})
    single = [_grid(question, some, objectives, sizes, seeds) for question, some in of.items()]
    own = {question for question, some in of.items() if all(p.headline for p in some)}
    return [*_means([grid for grid in single if grid.question in own]), *single]


def pairs(grid: Grid, objective: str) -> Pairs:
    """This arm less the first."""
    arm, c = grid.objectives.index(objective), grid.covariance
    both = c[arm, :, :, arm] + c[0, :, :, 0] - c[arm, :, :, 0] - c[0, :, :, arm]
    return Pairs(
        *(objective, grid.objectives[0], grid.sizes),
        differences=grid.values[arm] - grid.values[0],
        covariance=both,
        floor=grid.floor,
        units=grid.units,
    )


def _check(point: Point, objectives: Sequence[str]) -> None:
    where = f"'{point.objective}' at size {point.size}, seed {point.seed} on {point.dataset}"
    if point.objective not in objectives:
        raise SightwordError(f"{where} is of an objective that the study does not name: {list(objectives)}")
    if not 0 <= point.value <= 1 or point.n < 1 or point.size < 1:
        raise SightwordError(
            f"{where} has {point.metric} {point.value} of {point.n} examples; analysed are values from "
            "0 to 1, higher is better, of one example or more"
        )


def _grid(
    question: Question,
    points: Sequence[Point],
    objectives: Sequence[str],
    sizes: Sequence[int],
    seeds: Sequence[int],
) -> Grid:
    shape = (len(objectives), len(sizes), len(seeds))
    values = np.full(shape, np.nan)
    places = [(objectives.index(p.objective), sizes.index(p.size), seeds.index(p.seed)) for p in points]
    for point, place in zip(points, places, strict=True):
        if not np.isnan(values[place]):
            raise SightwordError(
                f"'{point.objective}' at size {point.size}, seed {point.seed} was scored twice on "
                f"{question.dataset} {question.task}; keep one"
            )
        values[place] = point.value
    lengths = {len(p.influences) for p in points if p.influences is not None}
    if len(lengths) > 1:
        raise SightwordError(
            f"the runs answered different examples of {question.dataset} ({sorted(lengths)} units); "
            "evaluate all of them on the same files"
        )
    paired = all(point.influences is not None for point in points)
    covariance = _shared(points, places, shape) if paired else _unpaired(points, places, shape)
    n = min(point.n for point in points)
    return Grid(
        *(question, tuple(objectives), tuple(sizes), tuple(seeds), values, covariance),
        floor=1 / n**2,
        units=lengths.pop() if paired else n,
        paired=paired,
        datasets=(question.dataset,),
    )


def _shared(
    points: Sequence[Point], places: Sequence[tuple[int, int, int]], shape: tuple[int, int, int]
) -> Float64[np.ndarray, "a i k a i k"]:
    influences = np.stack([point.influences for point in points if point.influences is not None])
    gram = np.zeros((int(np.prod(shape)),) * 2)
    rows = np.ravel_multi_index(tuple(np.array(places).T), shape)
    gram[np.ix_(rows, rows)] = influences @ influences.T
    return gram.reshape(shape * 2)


def _unpaired(
    points: Sequence[Point], places: Sequence[tuple[int, int, int]], shape: tuple[int, int, int]
) -> Float64[np.ndarray, "a i k a i k"]:
    """No more is known than each error: arms apart, sizes apart, seeds wholly alike."""
    errors = np.zeros(shape)
    for point, place in zip(points, places, strict=True):
        errors[place] = point.standard_error
    arms, sizes = np.eye(shape[0]), np.eye(shape[1])
    return np.einsum("aik,bjl,ab,ij->aikbjl", errors, errors, arms, sizes)


def _means(single: Sequence[Grid]) -> list[Grid]:
    """Over the data sets of each budget, model and task; a run without all of them is missing."""
    of: dict[tuple[str, str, str], list[Grid]] = {}
    for grid in single:
        of.setdefault((grid.question.budget, grid.question.model, grid.question.task), []).append(grid)
    return [_mean(some) for some in of.values() if len(some) > 1]


def _mean(some: Sequence[Grid]) -> Grid:
    first, count = some[0], len(some)
    asked = first.question
    return Grid(
        Question(asked.budget, asked.model, MEAN, asked.task, "each one's own metric"),
        *(first.objectives, first.sizes, first.seeds),
        values=np.mean([grid.values for grid in some], axis=0),
        covariance=np.sum([grid.covariance for grid in some], axis=0) / count**2,
        floor=sum(grid.floor for grid in some) / count**2,
        units=min(grid.units for grid in some),
        paired=all(grid.paired for grid in some),
        datasets=tuple(grid.question.dataset for grid in some),
    )
