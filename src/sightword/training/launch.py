"""Several runs at once on one machine, each in a process of its own with its own threads.

Small models train faster this way than one after the other on all cores, and what a run computes does not
depend on how many cores there are. Progress is read from the runs' records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.training.child import Failure, Work, failure_of, start
from sightword.training.interrupt import Interrupt
from sightword.training.several_bars import SeveralBars, several_bars

Job = Callable[[], Config | None]  # None: not ready to start yet
_POLL = 0.5  # seconds


def name_of(config: Config) -> str:
    """What a run is called: the name of its directory."""
    return Path(config.out).name


@dataclass
class _Running:
    config: Config
    process: SpawnProcess
    gpu: str


@dataclass
class Launcher:
    """Runs jobs in up to `slots` processes of `threads` threads each.

    A job is a function that gives the run's configuration, or None while something it needs is missing.

    gpus: for each slot the GPU that its run sees, as CUDA_VISIBLE_DEVICES names it; (): all see all.
    title: what a run is called on the screen.
    nice: how far a run gives way to others where there are more of them than cores, as `nice` counts.
    """

    work: Work
    slots: int
    threads: int = 1
    gpus: Sequence[str] = ()
    title: Callable[[Config], str] = name_of
    nice: Callable[[Config], int] = lambda config: 0
    failures: list[Failure] = field(default_factory=list)

    def run(self, jobs: Sequence[Job]) -> None:
        """Run all jobs. A failed one does not stop the others.

        Raises:
            SightwordError: at the end, naming the runs that failed and why; or when a signal asked to stop.
        """
        if failed := self.collect(jobs):
            raise SightwordError(f"{len(failed)} of {len(jobs)} runs failed: {'; '.join(map(str, failed))}")

    def collect(self, jobs: Sequence[Job]) -> list[Failure]:
        """Run all jobs and give those that failed.

        Raises:
            SightwordError: when a signal asked to stop, or jobs wait for what never comes.
        """
        waiting, running = list(jobs), list[_Running]()
        with Interrupt() as interrupt, several_bars(len(jobs), self.title) as bars:
            try:
                while (waiting or running) and not interrupt.asked:
                    waiting = self._start(waiting, running)
                    time.sleep(_POLL)
                    bars.show([one.config for one in running])
                    running = [one for one in running if not self._ended(one, bars)]
            finally:
                self._stop(running)
        if interrupt.asked:
            raise SightwordError(f"{interrupt.asked}: every run is saved; the same command goes on with them")
        return self.failures

    def _start(self, waiting: list[Job], running: list[_Running]) -> list[Job]:
        left = []
        for job in waiting:
            config = job() if len(running) < self.slots else None
            if config is None:
                left.append(job)
                continue
            gpu = self._free_gpu(running)
            process = start(self.work, config, self.threads, gpu, self.nice(config))
            running.append(_Running(config, process, gpu))
        if left and not running and len(left) == len(waiting):
            said = "; ".join(map(str, self.failures))
            raise SightwordError(f"{len(left)} runs wait for what never came: {said}")
        return left

    def _free_gpu(self, running: Sequence[_Running]) -> str:
        free = list(self.gpus)
        for one in running:
            if one.gpu:
                free.remove(one.gpu)
        return free[0] if free else ""

    def _ended(self, one: _Running, bars: SeveralBars) -> bool:
        if one.process.exitcode is None:
            return False
        failure = failure_of(one.process, one.config)
        self.failures += [failure] if failure else []
        bars.ended(one.config, bool(failure))
        return True

    def _stop(self, running: list[_Running]) -> None:
        """Ask what still runs to save and end."""
        for one in running:
            one.process.terminate()
        for one in running:
            one.process.join()
