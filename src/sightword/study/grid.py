"""The runs of a study: each cell of the grid, where it lies, and its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from sightword.config import Config, override
from sightword.recipes import models
from sightword.study.arms import Arm
from sightword.study.design import Study
from sightword.training.checks import total_steps
from sightword.training.counting import sample_flops

RUNS, TRIALS = PLACES = ("runs", "trials")  # folders of a study
TRIAL_SEED = 1_000_003  # added to the first seed: learning rates are chosen on parts that no cell learns from


@dataclass(frozen=True)
class Cell:
    """One run of the grid. `lr` is a trial of the learning rate; 0 in the study itself."""

    model: str
    size: int
    seed: int
    arm: Arm
    budget: str
    lr: float = 0.0

    @property
    def folder(self) -> str:
        """Where it lies within the study. Trials lie apart."""
        own = f"{self.arm.folder}{'' if self.budget == 'samples' else '@equal-flops'}"
        if self.lr:
            return f"{TRIALS}/{self.model}/{self.arm.folder}/lr{self.lr:g}"
        return f"{RUNS}/{self.model}/{self.size}/seed{self.seed}/{own}"


Rates = Mapping[tuple[str, Arm], float]  # the learning rate that an arm of a model chose


def cells(study: Study) -> Iterator[Cell]:
    """Every run, seed by seed and from small to large, so that what is finished soon says something.

    The baseline takes the same run for both budgets.
    """
    for seed in study.seeds:
        for size in study.sizes:
            for model in study.models:
                for arm in study.arms:
                    for budget in study.budgets:
                        if budget == "samples" or arm != study.baseline:
                            yield Cell(model, size, seed, arm, budget)


def trials(study: Study) -> Iterator[Cell]:
    """The runs by which learning rates are chosen: as many for each arm, of the middle size."""
    seed, size = study.seeds[0] + TRIAL_SEED, study.sizes[(len(study.sizes) - 1) // 2]
    for model in study.models:
        for arm in study.arms:
            for lr in study.lrs:
                yield Cell(model, size, seed, arm, "samples", lr)


def run_of(study: Study, cell: Cell, out: Path, rates: Rates) -> Config:
    """The configuration of a cell.

    Args:
        study: its grid.
        cell: one of `cells` or `trials`.
        out: the study's directory.
        rates: what was chosen by trials; empty without them.

    Raises:
        SightwordError: the arm and the model do not fit, or one of the arm's settings is none.
    """
    config = _learns(study, cell.arm, cell.model)
    lr = cell.lr or rates.get((cell.model, cell.arm), 0.0)
    if lr:
        config = replace(config, optimizer=replace(config.optimizer, lr=lr))
    data = replace(config.data, samples=cell.size, held_out=study.held_out)
    steps = steps_of(study, cell)
    return replace(config, data=data, seed=cell.seed, steps=steps, epochs=0.0, out=str(out / cell.folder))


def steps_of(study: Study, cell: Cell) -> int:
    """Steps of a cell: the baseline's passes over its part, or what its FLOPs pay for."""
    whole = total_steps(
        replace(study.base, epochs=study.epochs, steps=0), cell.size // study.base.global_batch
    )
    if cell.budget == "samples":
        return whole
    own = flops_of(study, cell.arm, cell.model)
    return max(1, round(whole * flops_of(study, study.baseline, cell.model) / own))


def flops_of(study: Study, arm: Arm, model: str) -> float:
    """FLOPs that an arm spends on a sample."""
    return _counted(_learns(study, arm, model))


def _learns(study: Study, arm: Arm, model: str) -> Config:
    """A run of an arm, but for its length, its part of the data and its place."""
    config = replace(study.base, objective=arm.objective, model=models.find(model), evaluate_on="")
    config = override(config, dict(pair.split("=", 1) for pair in study.settings))
    return override(config, dict(arm.own), f"{arm.label}:")


@cache
def _counted(config: Config) -> float:
    return sample_flops(config)
