"""A run's batches, made ahead by as many workers as training needs.

Workers are threads where the native kernel makes views on a machine without a GPU: it works without Python's
lock, and no batch has to travel from process to process, which costs a quarter of the time. Elsewhere they
are processes: in Python code threads would wait for each other, and keep a GPU's own thread waiting.

Steps hold no state, so loaders can be closed and others opened at any step without changing a batch. With
`--workers auto` that is what happens when training waits although processors are idle.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from torch.utils.data import DataLoader, Dataset

from sightword.config import DataConfig
from sightword.errors import SightwordError
from sightword.pairs.remote.ahead import Ahead
from sightword.training.feed import Steps
from sightword.training.input import STARVED
from sightword.training.interrupt import in_worker
from sightword.training.together.ranks import on_this_host
from sightword.views.native.library import current
from sightword.views.store import MIB
from sightword.words import Batch

log = logging.getLogger(__name__)
_AHEAD = 4  # batches that a worker makes ahead, at most
_AHEAD_MIB = 4096  # memory that batches made ahead may take, as long as every worker makes one
_ENOUGH = 10  # steps after which a measurement says something
_SPARE = 1.2  # how much faster than training the workers together should be


class Supply:
    """The batches from step `first` to `total`, as an iterator, while the context lasts.

    Args:
        steps: the run's batches.
        first, total: the first step wanted, and the one after the last.
        config: says how many workers.
        cuda: whether batches go to a CUDA device.

    Raises:
        SightwordError: while iterating: too much is unreadable, or a worker died.
    """

    def __init__(self, steps: Steps, first: int, total: int, config: DataConfig, cuda: bool) -> None:
        self.steps, self.total, self.cuda = steps, total, cuda
        self.workers = config.workers if config.workers >= 0 else first_guess(cuda)
        self._auto = config.workers < 0
        kind = config.loaders
        if kind == "auto":
            kind = "threads" if current() is not None and not cuda else "processes"
        self._threads = self.workers > 0 and kind == "threads"
        self._next = first
        self._open = ExitStack()
        sources = [one for one in (steps, steps.sight) if one is not None]
        self._ahead = [Ahead(s.pairs, s.order, s.batch_size, config.window, s.own_rows) for s in sources]

    def __enter__(self) -> Supply:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)  # loaders are told of the error

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self._next = batch.step + 1
        self._look_ahead()
        return batch

    def heed(self, waited: float, seconds: float, making: Mapping[str, float], steps: int) -> int:
        """Start more workers if training waits for data and they would help; only with `--workers auto`.

        Args:
            waited: the share of its time that training spent waiting for data.
            seconds: that a step took, waiting included.
            making: processor seconds that a step's batch took to make, by stage.
            steps: over how many steps this was measured.

        Returns:
            how many workers there are now, or 0 when nothing changed.
        """
        if not self._auto or waited < STARVED or steps < _ENOUGH or self._next >= self.total:
            return 0
        wanted = min(enough_workers(sum(making.values()), seconds * (1 - waited)), cores())
        if wanted <= self.workers:
            return 0
        self.workers = wanted
        self._open.close()
        self._start()
        return wanted

    def _start(self) -> None:
        self._open = ExitStack()
        start = thread_steps if self._threads else load_steps
        loader = start(self.steps, self._next, self.total, self.workers, self.cuda)
        self._batches = self._open.enter_context(loader)
        self._look_ahead()  # in threads of this process: after workers were forked

    def _look_ahead(self) -> None:
        """Have the shards fetched that the next steps read."""
        for ahead in self._ahead:
            ahead(self._next, self.total)


def fetched(batches: Iterator[Batch]) -> tuple[Batch | None, SightwordError | None]:
    """The next batch, or what keeps this process from having one: the others must hear of it first."""
    try:
        return next(batches), None
    except SightwordError as error:
        return None, error


def cores() -> int:
    """Processors that this process may use: of a machine's several training processes, its share."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, here // on_this_host())


def first_guess(cuda: bool) -> int:
    """Workers before anything is measured: training on the processor itself needs most of it."""
    return max(1, cores() - 1 if cuda else cores() // 4)


def enough_workers(making: float, training: float) -> int:
    """Workers that together make batches faster than training uses them up.

    Args:
        making: seconds that one worker needs for a batch.
        training: seconds that training needs for it.
    """
    return max(1, math.ceil(_SPARE * making / max(training, 1e-9)))


@contextmanager
def load_steps(steps: Steps, first: int, total: int, workers: int, cuda: bool) -> Iterator[Iterator[Batch]]:
    """The batches from step `first` to `total`, made ahead by worker processes while the context lasts.

    Raises:
        SightwordError: while iterating: too much is unreadable, or a worker died.
    """
    loader = DataLoader[Any](
        _Told(steps),
        batch_size=None,
        sampler=range(first, total),
        num_workers=workers,
        prefetch_factor=_ahead(steps, first, workers) if workers else None,
        collate_fn=_same,
        pin_memory=cuda,
        worker_init_fn=in_worker,
        # Started in other ways they would outlive a run that is killed: they look after another parent.
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
    )
    batches = iter(loader)
    try:
        yield _unpacked(batches)
    except RuntimeError as error:  # torch's signal handler raises it wherever training is
        if "DataLoader worker" not in str(error):
            raise
        raise _dead(error) from error
    finally:
        # Workers ignore SIGTERM, by which Python would end one left behind: it would wait for it forever.
        getattr(batches, "_shutdown_workers", lambda: None)()


@contextmanager
def thread_steps(steps: Steps, first: int, total: int, workers: int, cuda: bool) -> Iterator[Iterator[Batch]]:
    """As `load_steps`, by threads of this process; at least one.

    Raises:
        SightwordError: while iterating: too much is unreadable.
    """
    with ThreadPoolExecutor(workers, "loader") as pool:
        try:
            yield _in_order(pool, steps, range(first, total), workers * _ahead(steps, first, workers), cuda)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, steps: Steps, wanted: range, ahead: int, cuda: bool
) -> Iterator[Batch]:
    def make(step: int) -> Batch:
        return steps[step].pin_memory() if cuda else steps[step]

    waiting = deque(pool.submit(make, step) for step in wanted[:ahead])
    for step in wanted:
        batch = waiting.popleft().result()
        if step + ahead < wanted.stop:
            waiting.append(pool.submit(make, step + ahead))
        yield batch


def _ahead(steps: Steps, step: int, workers: int) -> int:
    room = _AHEAD_MIB * MIB / max(1, steps.bytes_of(step))
    return max(1, min(_AHEAD, int(room / workers)))


@dataclass
class _Told(Dataset["Batch | SightwordError"]):
    """Errors as answers: raised in a worker, one would reach the user as the worker's whole traceback."""

    steps: Steps

    def __getitem__(self, step: int) -> Batch | SightwordError:
        try:
            return self.steps[step]
        except SightwordError as error:
            return error


def _unpacked(answers: Iterator[Batch | SightwordError]) -> Iterator[Batch]:
    while True:
        try:
            answer = next(answers)
        except StopIteration:
            return
        except (ConnectionError, EOFError) as error:  # it died while it handed a batch over
            raise _dead(error) from error
        if isinstance(answer, SightwordError):
            raise answer
        yield answer


def _dead(error: Exception) -> SightwordError:
    return SightwordError(
        f"a loader process died ({(str(error) or repr(error)).splitlines()[0]}), often for want of memory"
        " (in a container, of shared memory: --shm-size); go on with fewer --workers"
    )


def _same(batch: Any) -> Any:
    return batch
