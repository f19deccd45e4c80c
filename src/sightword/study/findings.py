"""What a study found and how it was run: all that its page and tables are made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sightword.study.analysis.answers import Answer
from sightword.study.analysis.answers import analyse as answers_of
from sightword.study.analysis.points import Point
from sightword.study.analysis.published import Published, published
from sightword.study.analysis.verdicts import Verdict, verdict
from sightword.study.design import Study
from sightword.study.grid import Cell
from sightword.study.wording import measure

DECIDING = ("zeroshot", "retrieval", "linear", "knn")  # the first task that was scored decides


@dataclass(frozen=True)
class RunState:
    """One planned run and what became of it.

    why: it failed or is missing; empty when finished.
    warnings: what training told to be wrong (collapse, waiting for data), one sentence each.
    steps, samples, flops: that it took.
    data_hash, order_hash: of its start record; arms of one model, size and seed should have the same.
    """

    cell: Cell
    state: Literal["finished", "failed", "missing"]
    why: str = ""
    warnings: tuple[str, ...] = ()
    steps: int = 0
    samples: int = 0
    flops: float = 0.0
    data_hash: str = ""
    order_hash: str = ""


@dataclass(frozen=True)
class ArmCost:
    """What an arm costs and how fast it learns.

    sample_flops: forward and backward, of one pair.
    lr: its learning rate. trials: each rate that was tried with the score on validation pairs (NaN when the
        trial failed); empty where the rate was given.
    """

    model: str
    objective: str
    sample_flops: float
    lr: float
    trials: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Overlap:
    """How many test pictures of a data set have a near copy among the pairs that were learned from."""

    dataset: str
    examined: int
    found: int


@dataclass(frozen=True)
class Conduct:
    """How the study was run: every planned run, what each arm costs, and what was found among the pairs."""

    runs: tuple[RunState, ...] = ()
    costs: tuple[ArmCost, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    def in_state(self, state: str) -> list[RunState]:
        """The runs that are so."""
        return [run for run in self.runs if run.state == state]


@dataclass(frozen=True, eq=False)
class Findings:
    """A study's results.

    points: one for each run and thing it was scored on, as the analysis had them.
    answers: to every question; means over data sets first.
    deciding: for each model, the answers that its verdict rests on, one for each budget.
    verdicts: of each deciding answer and arm, at `size`, or at the largest size that was run.
    """

    study: Study
    points: tuple[Point, ...]
    answers: tuple[Answer, ...]
    deciding: dict[str, tuple[Answer, ...]]
    verdicts: tuple[Verdict, ...]
    conduct: Conduct
    published: Published
    size: int | None = None

    def others(self, model: str) -> list[Answer]:
        """What else was asked of a model as its task's main question."""
        decided = {id(answer) for answer in self.deciding.get(model, ())}
        asked = (answer for answer in self.answers if answer.question.model == model)
        return [answer for answer in asked if answer.main and id(answer) not in decided]


def analyse(
    study: Study,
    points: Iterable[Point],
    conduct: Conduct | None = None,
    size: int | None = None,
    resamples: int = 400,
) -> Findings:
    """Ask the points every question: each budget and model, each data set's metrics, and each task's mean.

    Args:
        study: whose points they are; a point's objective is its arm's name.
        points: of the runs that were scored. The baseline takes one run for both budgets: where its points
            stand under `samples` alone, they serve under `flops`, too.
        conduct: how the runs went; nothing is said of it when None.
        size: that the verdict is about; the largest that was run when None.
        resamples: of the laws' bootstrap.

    Raises:
        SightwordError: there are no points, they are not the study's, or the size is too far from its sizes.
    """
    every = _shared(study, tuple(points))
    answers = answers_of(every, [arm.name for arm in study.arms], resamples=resamples)
    deciding = {model: _deciding(study, every, answers, model) for model in study.models}
    verdicts = [
        verdict(answer, arm, size, measure(answer.question))
        for some in deciding.values()
        for answer in some
        for arm in answer.arms
    ]
    return Findings(
        *(study, every, tuple(answers), deciding, tuple(verdicts)),
        conduct=conduct or Conduct(),
        published=published(),
        size=size,
    )


def _shared(study: Study, points: tuple[Point, ...]) -> tuple[Point, ...]:
    """The points, with the baseline's under each budget, in an order that does not depend on theirs."""
    have = {_key(point) for point in points}
    first = [p for p in points if p.objective == study.baseline.name and p.budget == "samples"]
    copies = [replace(point, budget=budget) for budget in study.budgets for point in first]
    added = [copy for copy in copies if _key(copy) not in have]
    return tuple(sorted((*points, *added), key=lambda point: _place(study, point)))


def _key(point: Point) -> tuple[object, ...]:
    asked = point.question
    return asked, point.objective, point.size, point.seed


def _place(study: Study, point: Point) -> tuple[object, ...]:
    """By the study's own order of models, budgets, data sets and arms."""
    labels = [arm.name for arm in study.arms]
    arm = labels.index(point.objective) if point.objective in labels else len(labels)
    asked = (point.task, point.dataset, point.metric)
    return point.model, study.budgets.index(point.budget), asked, arm, point.size, point.seed


def _deciding(
    study: Study, points: Iterable[Point], answers: Sequence[Answer], model: str
) -> tuple[Answer, ...]:
    """The same question at each budget: the first task's mean over data sets, or its only data set's number.

    The order is fixed, so nobody can choose it after seeing the numbers.
    """
    asked = [answer for answer in answers if answer.main and answer.question.model == model]
    own = {point.question for point in points if point.headline}
    for task in dict.fromkeys((*DECIDING, *(answer.question.task for answer in asked))):
        of = [answer for answer in asked if answer.question.task == task]
        if of:
            first = min(
                of, key=lambda one: (not one.question.is_mean and one.question not in own, _subject(one))
            )
            same = {a.question.budget: a for a in of if _subject(a) == _subject(first)}
            return tuple(same[budget] for budget in study.budgets if budget in same)
    return ()


def _subject(answer: Answer) -> tuple[bool, str, str]:
    """What an answer is about at any budget; means come first."""
    return not answer.question.is_mean, answer.question.dataset, answer.question.metric
