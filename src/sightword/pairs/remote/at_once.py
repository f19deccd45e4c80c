"""Waiting for many answers of a network at once, and no longer than anybody wants them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar, final

Job = TypeVar("Job")
Result = TypeVar("Result")


class Stopped(Exception):  # noqa: N818
    """Somebody else failed, or the user wants to stop: whatever this was, nobody waits for it."""


@final
class Stop:
    """Says when to give up; what takes long looks at it now and then."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Everybody is to stop."""
        self._asked.set()

    def check(self) -> None:
        """Raises `Stopped` once it was asked for."""
        if self._asked.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """A pause that ends at once, by `Stopped`, when it is asked for."""
        self._asked.wait(seconds)
        self.check()


def at_once(work: Callable[[Job, Stop], Result], jobs: Iterable[Job], threads: int) -> list[Result]:
    """`work` for every job, several at once; the first error ends all of it.

    Args:
        work: a job, with what it has to look at when it takes long.
        jobs: the jobs.
        threads: how many at once.

    Returns:
        the results in the order of the jobs.
    """
    stop = Stop()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sightword-remote")
    try:
        futures = [pool.submit(work, job, stop) for job in jobs]
        wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:  # the error itself before those who were stopped for it
            error = future.exception() if future.done() else None
            if error is not None and not isinstance(error, Stopped):
                raise error
        return [future.result() for future in futures]
    finally:
        stop.ask()
        pool.shutdown(cancel_futures=True)
