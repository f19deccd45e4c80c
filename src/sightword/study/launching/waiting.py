"""Waiting for jobs of a cluster: counted on the screen, collected, and told to go when a signal asks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from sightword.errors import SightwordError
from sightword.study.launching.launcher import Failure
from sightword.training.interrupt import Interrupt
from sightword.training.progress import Bar

_POLL = 1.0  # seconds
_LEAVING = 120.0  # seconds that jobs get to save


class Job(ABC):
    """A run that a cluster has been given."""

    out: str

    @abstractmethod
    def ended(self, now: bool = False) -> bool:
        """Whether it has; with `now` the cluster is asked, however lately it was."""

    @abstractmethod
    def reason(self) -> str:
        """Why an ended one failed, or ""."""

    @abstractmethod
    def cancel(self) -> None:
        """Tell it to save and end, or not to begin."""


def collect(jobs: Sequence[Job], where: str) -> list[Failure]:
    """Wait for all, and give those that failed.

    Raises:
        SightwordError: a signal asked to stop; the jobs were told to.
    """
    left, failures = list(jobs), list[Failure]()
    with Interrupt() as interrupt, Bar(f"runs on {where}", len(jobs)) as bar:
        while left and not interrupt.asked:
            for job in [job for job in left if job.ended()]:
                left.remove(job)
                reason = job.reason()
                failures += [Failure(job.out, reason)] if reason else []
                bar.advance(f"{len(failures)} failed" if failures else None)
            time.sleep(_POLL if left else 0)
        for job in left:
            job.cancel()
        _wait(left)
    if interrupt.asked:
        raise SightwordError(
            f"{interrupt.asked}: the runs on {where} were told to save and end;"
            " the same command goes on with them"
        )
    return failures


def _wait(jobs: Sequence[Job]) -> None:
    until = time.monotonic() + _LEAVING
    while not all(job.ended(now=True) for job in jobs) and time.monotonic() < until:
        time.sleep(_POLL)
