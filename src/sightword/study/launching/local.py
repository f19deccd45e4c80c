"""Runs on this machine: one on each GPU, or one on each core where there is none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.study.launching.launcher import Failure, Launcher, Work, title_of
from sightword.training import launch


@dataclass(frozen=True)
class Local(Launcher):
    """Processes of this machine.

    slots: runs at once; 0: one for each GPU, or for each core where there is none.
    threads: of each run; 0: the cores shared out among the slots. What a run computes does not depend on it.
    """

    slots: int = 0
    threads: int = 0

    here = True

    def __post_init__(self) -> None:
        if self.slots < 0 or self.threads < 0:
            raise SightwordError(
                f"slots are {self.slots} and threads {self.threads}; give 1 or more of each, or 0 for as many"
                " as this machine has"
            )

    def at_once(self, config: Config) -> int:
        """Slots."""
        return self.slots or len(gpus_for(config)) or _cores()

    def threads_of(self, config: Config) -> int:
        """Threads of a run."""
        return self.threads or max(1, _cores() // self.at_once(config))

    def run(self, work: Work, configs: Sequence[Config]) -> list[Failure]:
        """Carry out runs in processes of their own; what each says is in its `log.txt`."""
        if not configs:
            return []
        slots, gpus = self.at_once(configs[0]), gpus_for(configs[0])
        each = [gpus[slot % len(gpus)] for slot in range(slots)] if gpus else []
        launcher = launch.Launcher(work, slots, self.threads_of(configs[0]), each, title_of)
        return launcher.collect([partial(_as_it_is, config) for config in configs])


def gpus_for(config: Config) -> list[str]:
    """The GPUs among which runs are spread, as CUDA_VISIBLE_DEVICES names them.

    None where a run computes on the CPU, or on one GPU that its `device` names. A run is shown its GPU by
    the environment, so that its configuration is the same on each.
    """
    import torch

    if config.device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    given = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    return given or [str(index) for index in range(torch.cuda.device_count())]


def _as_it_is(config: Config) -> Config:
    return config


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
