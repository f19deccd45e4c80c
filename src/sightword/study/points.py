"""From the runs' records to the table that is analysed. Nothing is trained or scored here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sightword.errors import SightwordError
from sightword.evaluation.influence import pulled
from sightword.evaluation.outcomes import About, read_outcomes
from sightword.evaluation.scores import Score, read_scores
from sightword.study.analysis.points import Point
from sightword.study.design import Study
from sightword.study.grid import Cell

Units = dict[tuple[str, str, str], tuple[str, ...]]
_HALF_WIDTHS = 3.92  # standard errors in a 95 % interval


def points_of(study: Study, out: Path, finished: Iterable[Cell]) -> Iterator[Point]:
    """One point for each run, budget and data set, of its own metric.

    The baseline's run stands in both budgets.

    Args:
        study: its grid.
        out: the study's directory.
        finished: the cells whose runs are trained and scored.

    Raises:
        SightwordError: scores or outcomes are damaged.
    """
    units: Units = {}  # of test examples, the same in all runs
    for cell in finished:
        budgets = study.budgets if cell.arm == study.baseline else (cell.budget,)
        for score in own_scores(out / cell.folder):
            yield from _points(cell, out / cell.folder, score, budgets, units)


def own_scores(run: Path) -> list[Score]:
    """The latest score of each set and task by its own metric."""
    latest = {(s.dataset, s.split, s.task): s for s in read_scores(run) if s.headline}
    return list(latest.values())


def _points(
    cell: Cell,
    run: Path,
    score: Score,
    budgets: Iterable[str],
    units: Units,
) -> Iterator[Point]:
    path = _about(score).path(run)
    if not path.is_file():
        raise SightwordError(f"the outcomes of {score.dataset} are gone from '{run}'; evaluate it again")
    outcomes = read_outcomes(path)
    if outcomes.about != _about(score):
        raise SightwordError(f"'{path}' is not of the score beside it; evaluate the run again with --force")
    found = pulled(outcomes, score.metric)
    asked = score.dataset, score.split, score.task
    if found is not None and units.setdefault(asked, found.units) != found.units:
        raise SightwordError(
            f"'{run}' answered other examples of {'/'.join(asked)} than other runs of the study; evaluate all"
            " of them on the same files"
        )
    for budget in budgets:
        yield Point(
            *(cell.arm.name, cell.size, cell.seed, budget, cell.model),
            dataset=f"{score.dataset}/{score.split}",
            task=score.task,
            metric=score.metric,
            value=score.value,
            n=score.n,
            influences=None if found is None else found.influences,
            error=(score.high - score.low) / _HALF_WIDTHS if found is None else None,
        )


def _about(score: Score) -> About:
    protocol = str(score.protocol["hash"])
    return About(
        *(score.dataset, score.split, score.task),
        protocol_hash=protocol,
        weights_hash=score.weights_hash,
        data_hash=score.data_hash,
    )
