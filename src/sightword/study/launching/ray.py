"""Runs as tasks of Ray (`pip install 'sightword[ray]'`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.study.launching import waiting
from sightword.study.launching.alone import Alone
from sightword.study.launching.launcher import Failure, Launcher, Work
from sightword.study.launching.optional import package

_RETRIES = 20  # of a run whose node was lost; it has gone on each time


@dataclass(frozen=True)
class Ray(Launcher):
    """Tasks, on whatever machines a Ray cluster has; they see the same disk.

    address: of the cluster; "": that of RAY_ADDRESS or `ray start` here, and otherwise this machine alone.
    gpus: of a run; a share such as 0.5 lets two runs have one GPU.
    cpus: of a run.
    """

    address: str = ""
    gpus: float | int = 1
    cpus: int = 8

    def __post_init__(self) -> None:
        if self.gpus < 0 or self.cpus < 1:
            raise SightwordError(
                f"a run has {self.gpus:g} GPUs and {self.cpus} CPUs; give 0 or more, 1 or more"
            )

    def at_once(self, config: Config) -> int:
        """As many as the cluster's machines have room for now."""
        ray = package("ray", "ray")
        self._connect(ray)
        return max(1, sum(self._room(node["Resources"]) for node in ray.nodes() if node["Alive"]))

    def run(self, work: Work, configs: Sequence[Config]) -> list[Failure]:
        """Hand out all runs as tasks, and wait for them."""
        ray = package("ray", "ray")
        self._connect(ray)
        if not any(self._room(node["Resources"]) for node in ray.nodes() if node["Alive"]):
            raise SightwordError(
                f"no machine of the Ray cluster has {self.cpus} CPUs and {self.gpus:g} GPUs for a run;"
                " ask for fewer"
            )
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=_RETRIES)(_carry_out)
        alone = Alone(work, os.getcwd(), self.cpus)
        jobs = [_Job(config.out, task.remote(alone, config), ray) for config in configs]
        return waiting.collect(jobs, "ray")

    def _connect(self, ray: Any) -> None:
        if ray.is_initialized():
            return
        try:
            ray.init(address=self.address or None, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())
            raise SightwordError(f"no Ray cluster at '{self.address}': {said}; see `ray start`") from error

    def _room(self, has: dict[str, float]) -> int:
        """Runs for which a machine with these resources has room."""
        cpus = int(has.get("CPU", 0) // self.cpus)
        return min(cpus, int(has.get("GPU", 0) / self.gpus)) if self.gpus else cpus


def _carry_out(alone: Alone, config: Config) -> str:
    return alone(config)


@dataclass
class _Job(waiting.Job):
    out: str
    task: Any
    ray: Any

    def ended(self, now: bool = False) -> bool:
        return bool(self.ray.wait([self.task], timeout=0)[0])

    def reason(self) -> str:
        try:
            return str(self.ray.get(self.task))
        except self.ray.exceptions.RayError as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            return f"{type(error).__name__}: {said[-1].strip()}"

    def cancel(self) -> None:
        self.ray.cancel(self.task)
