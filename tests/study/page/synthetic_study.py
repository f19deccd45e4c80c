"""A study made by formula: laws for each arm, the luck of seeds, and test examples that all runs share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightword.study.analysis.points import Point, mean_influences
from sightword.study.design import Study
from sightword.study.findings import ArmCost, Conduct, Findings, Overlap, RunState, analyse
from sightword.study.grid import Cell, cells

ARMS = ("clip", "clip + simclr", "clip + mae")
# Of each arm: the error that stays, what falls at a thousand pairs, and how fast.
LAWS = {0: (0.10, 0.62, 0.22), 1: (0.14, 0.50, 0.20), 2: (0.10, 0.60, 0.21)}
RATES = (5e-4, 1e-3, 2e-3)
SETS = {"pets": 0.0, "flowers": 0.03, "textures": -0.02}


def accuracy(arm: int, size: float, budget: str) -> float:
    """By the arm's law; under equal FLOPs a dearer arm learns from fewer samples."""
    a, b, c = LAWS.get(arm, (0.12, 0.55 + 0.01 * arm, 0.2))
    seen = size / (1.8 if budget == "flops" and arm else 1.0)
    return 1 - a - b * (seen / 1e3) ** -c


def study_of(
    arms: Sequence[str] = ARMS,
    sizes: Sequence[int] = (1000, 3000, 10_000, 40_000),
    seeds: Sequence[int] = (0, 1, 2),
    budgets: Sequence[str] = ("samples", "flops"),
    models: Sequence[str] = ("vit-tiny",),
) -> Study:
    return Study(
        "; ".join(arms), tuple(models), tuple(sizes), tuple(seeds), tuple(budgets), lrs=RATES, held_out=500
    )


def points_of(study: Study, sets: Sequence[str] = tuple(SETS), tasks: Sequence[str] = ("zeroshot", "knn")):
    """Points of every cell: each test example is answered where its difficulty lies below the run's skill."""
    for cell in cells(study):
        arm = study.arms.index(cell.arm)
        for task in tasks:
            for dataset in sets:
                yield _point(study, cell, arm, task, dataset)


def _point(study: Study, cell: Cell, arm: int, task: str, dataset: str) -> Point:
    examples = np.random.default_rng([len(dataset), ord(dataset[0]), len(task)]).random(400)
    luck = np.random.default_rng([arm, cell.size, cell.seed, cell.budget == "flops", ord(dataset[0])])
    skill = accuracy(arm, cell.size, cell.budget) + SETS.get(dataset, 0.0) + 0.01 * luck.standard_normal()
    skill += 0.04 * (task == "knn")
    right = examples + 0.08 * luck.standard_normal(400) < skill
    return Point(
        *(cell.arm.name, cell.size, cell.seed, cell.budget, cell.model, dataset, task, "acc1"),
        value=float(right.mean()),
        n=400,
        influences=mean_influences(right),
    )


def conduct_of(study: Study, failed: int = 0, missing: int = 0) -> Conduct:
    """Every run finished, but for the last ones."""
    runs = [
        RunState(cell, "finished", "", (), 120, 120 * 256, 1.5e12, f"pairs{cell.size}", f"order{cell.seed}")
        for cell in cells(study)
    ]
    for i in range(failed):
        runs[-1 - i] = RunState(runs[-1 - i].cell, "failed", "the loss became NaN at step 17")
    for i in range(failed, failed + missing):
        runs[-1 - i] = RunState(runs[-1 - i].cell, "missing", "not started")
    costs = [
        ArmCost(
            model,
            arm.name,
            2.1e9 * (1 + 0.9 * i),
            1e-3,
            tuple(zip(RATES, (0.311, 0.352, 0.347), strict=True)),
        )
        for model in study.models
        for i, arm in enumerate(study.arms)
    ]
    return Conduct(tuple(runs), tuple(costs), (Overlap("pets", 400, 3), Overlap("flowers", 400, 0)))


def findings_of(study: Study, size: int | None = None, **of: Sequence[str]) -> Findings:
    return analyse(study, points_of(study, **of), conduct_of(study), size, resamples=60)
