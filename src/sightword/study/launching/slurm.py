"""Runs as one job array of SLURM, by submitit (`pip install 'sightword[slurm]'`).

The command that submits waits for the jobs and collects them. When it dies, they go on: the same command
finds those that wait or run in `jobs.jsonl`, and waits for them instead of submitting them twice.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.study.launching import waiting
from sightword.study.launching.alone import Alone
from sightword.study.launching.launcher import Failure, Launcher, Work
from sightword.study.launching.optional import package
from sightword.training.records import read_records

JOBS = "jobs.jsonl"
_TIMEOUTS = 1000  # how often a run whose time was up goes back into the queue; it has gone on each time
_LEAVING = 300  # seconds before a job's end at which SLURM tells it


@dataclass(frozen=True)
class Slurm(Launcher):
    """A job array; each run is a job on one node.

    folder: for what submitit writes, on a disk that all nodes see: the study's directory.
    hours: of a job; a run that takes longer saves, and goes back into the queue.
    gpus: of a job; 0 for the CPU alone.
    cpus: of a job.
    parallel: jobs at once.
    more: whatever else `sbatch` takes: partition, account, qos, constraint, mem, exclude and so on.
    cluster: "" for the one that is here; submitit's `local` carries out jobs on this machine, to try.
    """

    folder: Path
    hours: float | int = 24
    gpus: int = 1
    cpus: int = 8
    parallel: int = 64
    more: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""

    def at_once(self, config: Config) -> int:
        """Jobs."""
        return self.parallel

    def run(self, work: Work, configs: Sequence[Config]) -> list[Failure]:
        """Submit what is not in the queue already, and wait for all of it."""
        submitit = package("submitit", "slurm")
        executor = self._executor(submitit)
        known = self._known(executor)
        jobs = [_Job(config.out, known[config.out]) for config in configs if config.out in known]
        new = [config for config in configs if config.out not in known]
        if new:
            task = Resumable(work, os.getcwd(), max(1, self.cpus))
            submitted = executor.map_array(task, new)
            self._remember(executor, new, submitted)
            jobs += [_Job(config.out, job) for config, job in zip(new, submitted, strict=True)]
        return waiting.collect(jobs, executor.cluster)

    def _executor(self, submitit: Any) -> Any:
        try:
            executor = submitit.AutoExecutor(
                folder=self.folder / "jobs" / "%j",
                cluster=self.cluster or None,
                slurm_max_num_timeout=_TIMEOUTS,
                local_max_num_timeout=_TIMEOUTS,
            )
            if not self.cluster and executor.cluster != "slurm":
                raise SightwordError(
                    "there is no SLURM here (no sbatch and srun on the PATH); start the study where jobs are"
                    " submitted, or leave out --launcher slurm"
                )
            executor.update_parameters(
                name="sightword", nodes=1, tasks_per_node=1, cpus_per_task=self.cpus,
                gpus_per_node=self.gpus, timeout_min=max(1, round(60 * self.hours)),
                slurm_array_parallelism=self.parallel, slurm_signal_delay_s=_LEAVING,
                **{f"slurm_{name}": value for name, value in self.more.items()},
            )  # fmt: skip
        except (NameError, ValueError) as error:
            said = " ".join(str(error).splitlines()[:1])
            raise SightwordError(f"submitit refuses what it is given: {said}") from error
        return executor

    def _known(self, executor: Any) -> dict[str, Any]:
        """Jobs of an earlier call that wait or run still, by the run's directory."""
        found = {}
        for record in read_records(self.folder / JOBS):
            if record["cluster"] == executor.cluster:
                found[record["out"]] = record["job"]
        kind = executor._executor.job_class
        jobs = {out: kind(folder=executor.folder, job_id=number) for out, number in found.items()}
        return {out: job for out, job in jobs.items() if not job.done(force_check=True)}

    def _remember(self, executor: Any, configs: Sequence[Config], jobs: Sequence[Any]) -> None:
        with (self.folder / JOBS).open("a", encoding="utf-8") as file:
            for config, job in zip(configs, jobs, strict=True):
                record = {"kind": "job", "out": config.out, "job": job.job_id, "cluster": executor.cluster}
                file.write(json.dumps({**record, "time": round(time.time(), 3)}) + "\n")


class Resumable(Alone):
    """`Alone`, as submitit wants it: when SLURM takes its node away, it saves and is queued again."""

    def checkpoint(self, config: Config) -> Any:
        """Called in submitit's signal handler."""
        self.save()
        again = Resumable(self.work, self.folder, self.threads)
        return package("submitit", "slurm").helpers.DelayedSubmission(again, config)

    __submitit_checkpoint__ = checkpoint  # its name after submitit 1.5


@dataclass
class _Job(waiting.Job):
    out: str
    job: Any

    def ended(self, now: bool = False) -> bool:
        return bool(self.job.done(force_check=now))

    def reason(self) -> str:
        try:
            return str(self.job.result())
        except Exception as error:  # whatever made the job itself fail, unpickled from its log
            said = str(error).strip().splitlines() or [type(error).__name__]
            return f"job {self.job.job_id} of state {self.job.state}: {said[0]}; see {self.job.paths.stderr}"

    def cancel(self) -> None:
        self.job.cancel(check=False)
