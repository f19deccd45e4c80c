"""Many jobs over several processes, with one bar over the samples inside them."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console

from sightword.errors import SightwordError
from sightword.training.progress import bar_with_eta

Context = TypeVar("Context")
Job = TypeVar("Job")
Result = TypeVar("Result")
Tick = Callable[[int], None]  # told of every few samples done
Task = Callable[[Any, Any, Tick], Any]  # (context, job, tick) -> result

_LOOK = 0.25  # seconds between looks at how far the processes are
_LINES = 15.0  # seconds between lines where the output is not a terminal
_AHEAD = 2  # jobs a process has waiting, so that none is ever idle
_here: tuple[Any, Any, Any] = (None, None, None)  # in a worker process: its context, how far all are, stop


def processors(wanted: int) -> int:
    """How many processes to use: as wanted, or one for each processor that we may use."""
    if wanted < 0:
        raise SightwordError(f"--workers must be 0 (one for each processor) or more, found {wanted}")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return wanted or allowed or 1


def in_processes(
    task: Callable[[Context, Job, Tick], Result],
    context: Context,
    jobs: Iterable[Job],
    processes: int,
    progress: Watch,
) -> Iterator[Result]:
    """Results of `task(context, job, tick)` for every job, as they come; with one process, in order and here.

    Args:
        task: a function of a module, so that it can be sent to a process; calls `tick(count)` as it goes.
        context: what every job needs; sent to each process once.
        jobs: may be many, they are sent a few at a time.
        processes: how many; 0: one for each processor.
        progress: the bar.

    Raises:
        SightwordError: a process died, mostly for lack of memory.
    """
    count = processors(processes)
    with progress:
        if count == 1:
            yield from (task(context, job, progress.add) for job in jobs)
        else:
            yield from _pooled(task, context, iter(jobs), count, progress)


def _pooled(task: Task, context: Any, jobs: Iterator[Any], count: int, progress: Watch) -> Iterator[Any]:
    # Forked processes would inherit locks that other threads hold (pyarrow's, the bar's): start afresh.
    spawn = multiprocessing.get_context("spawn")
    done = spawn.Value(ctypes.c_int64, 0)
    stop = spawn.Value(ctypes.c_bool, False)
    pool = ProcessPoolExecutor(count, spawn, _begin, (context, done, stop))
    running = set[Future[Any]]()
    try:
        while True:
            for job in jobs:
                with _deaf():  # a process is started when the first job for it is handed in
                    running.add(pool.submit(_run, task, job))
                if len(running) >= _AHEAD * count:
                    break
            if not running:
                return
            finished, running = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
            progress.show(done.value)
            yield from (future.result() for future in finished)
    except BrokenProcessPool as error:
        raise SightwordError(
            "a worker process died, mostly for lack of memory; run the same command again with "
            "fewer --workers"
        ) from error
    finally:
        stop.value = True  # after an error, or Ctrl-C, jobs under way end at their next tick
        pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started here never hear Ctrl-C: it is for the parent, which ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin(context: Any, done: Any, stop: Any) -> None:
    global _here
    _here = (context, done, stop)


def _run(task: Task, job: Any) -> Any:
    context, done, stop = _here

    def tick(count: int) -> None:
        if stop.value:
            raise _StoppedError
        with done.get_lock():
            done.value += count

    return task(context, job, tick)


class _StoppedError(Exception):
    """Nobody waits for this job any more."""


class Watch:
    """A bar over samples with an ETA; where the output is not a terminal, a line now and then."""

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self._console = Console(stderr=True)
        self._what, self._total, self._before, self._done = what, total, done, 0
        self._started = self._printed = time.monotonic()
        self._bar = bar_with_eta(self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task(what, total=total, completed=done)

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def add(self, count: int) -> None:
        """Some more are done."""
        self.show(self._done + count)

    def show(self, done: int) -> None:
        """So many are done since the beginning of this call."""
        self._done = done
        self._bar.update(self._task, completed=self._before + done)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed > _LINES and done:
            self._printed = now
            seconds, all_done = now - self._started, self._before + done
            left = seconds / done * (self._total - all_done)
            self._console.print(
                f"{self._what}: {all_done:,}/{self._total:,}, {seconds:.0f} s, eta {left:.0f} s",
                highlight=False,
            )
