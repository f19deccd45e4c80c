"""What a study is: which runs, on which parts of the data, scored on what. `study.toml` is exactly this."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from sightword.config import Config
from sightword.errors import SightwordError, unknown
from sightword.study.arms import Arm, arms

Budget = Literal["samples", "flops"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)
SCORED = ("zeroshot", "retrieval", "knn", "linear")


@dataclass(frozen=True)
class Study:
    """A grid of runs.

    objectives: what is compared, as `arms` reads it; the first is the baseline.
    models: by name; each is a study of its own.
    sizes: pairs that a run learns from, ascending; smaller parts are within larger ones of a seed.
    seeds: of weights, order, augmentation, and of which pairs a part is made.
    budgets: what arms have alike. `samples`: as many samples as the baseline sees. `flops`: as much
        arithmetic as the baseline takes, so that a dearer arm sees fewer samples.
    epochs: passes of the baseline over its part.
    lrs: learning rates that each arm tries on validation pairs; the best of each is its own. (): as given.
    held_out: pairs that no run learns from; `held_out/test` is made of them, and `held_out/validation` where
        learning rates are chosen.
    splits: or two splits of the data, for validation and test, that runs do not learn from.
    on: labelled sets to score on besides.
    tasks: of `sightword evaluate`.
    settings: `NAME=VALUE` of every run, which come after its model: `model.image.size=32`.
    base: everything else of a run.
    """

    objectives: str
    models: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    budgets: tuple[str, ...] = BUDGETS
    epochs: float = 24.0
    lrs: tuple[float, ...] = ()
    held_out: int = 0
    splits: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    tasks: tuple[str, ...] = SCORED
    data_root: str = "."
    settings: tuple[str, ...] = ()
    base: Config = field(default_factory=Config)

    def __post_init__(self) -> None:
        for budget in self.budgets:
            if budget not in BUDGETS:
                raise unknown("budget", budget, BUDGETS)
        for name, values in (("models", self.models), ("sizes", self.sizes), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise SightwordError(f"{name} of the study are {values}; wanted one or more, all different")
        if "samples" not in self.budgets:
            raise SightwordError("a study needs the budget samples, since that of flops is counted by it")
        if list(self.sizes) != sorted(self.sizes) or self.sizes[0] < self.base.global_batch:
            raise SightwordError(
                f"sizes are {self.sizes}; wanted ascending ones, the smallest no smaller than a batch of"
                f" {self.base.global_batch}"
            )
        if not self.epochs > 0 or min(self.lrs, default=1.0) <= 0 or self.held_out < 0:
            raise SightwordError(
                f"epochs are {self.epochs:g}, learning rates {self.lrs} and held-out pairs {self.held_out};"
                " wanted numbers above 0 (of held-out pairs, 0 or more)"
            )
        if self.splits and (len(self.splits) != 2 or self.held_out or self.base.data.split in self.splits):
            raise SightwordError(
                f"splits for validation and test are {self.splits}, beside --split '{self.base.data.split}'"
                f" and --held-out {self.held_out}; give two others than what is learned from, and hold"
                " nothing out besides"
            )
        if self.lrs and not self.tested:
            raise SightwordError("learning rates are chosen on held-out pairs; give --held-out above 0")
        if not self.tested and not self.on:
            raise SightwordError("nothing to score on; give --held-out above 0, or --on with labelled sets")
        _ = self.arms

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """What is compared."""
        return arms(self.objectives)

    @property
    def tested(self) -> bool:
        """Whether there are pairs to test on that no run learns from."""
        return bool(self.held_out or self.splits)

    @property
    def baseline(self) -> Arm:
        """What the others are compared with."""
        return self.arms[0]
