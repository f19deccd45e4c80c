"""Many tars examined: one after another at first, in several processes when that takes long."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np

from sightword.errors import SightwordError
from sightword.pairs.remote.bar import Bar
from sightword.pairs.tars.contents import ShardFacts
from sightword.pairs.tars.index import facts_of, hashes_of
from sightword.pairs.tars.tar import Tar
from sightword.pairs.tars.walk import Tick

PATIENCE = 2.0  # seconds before a bar is shown and more processes begin
_LOOK = 0.25  # seconds between looks at how far the processes are
_BATCH = 16  # tars that a process is given at once, where there are many
_counter: Any = None  # in a process of the pool: bytes done, shared by all

Examined: TypeAlias = tuple[int, ShardFacts]  # a tar's size, and what it holds


def examine_tars(paths: Sequence[str], processes: int = 0) -> list[Examined]:
    """Size and facts of each tar; indices that are not there yet are built and stored.

    Args:
        paths: of the tars.
        processes: how many to use when it takes longer than two seconds; 0: one for each processor.

    Raises:
        SightwordError: a tar cannot be read or is damaged, a caption is not UTF-8, or a process died.
    """
    found = list[Examined]()
    with _Waiting(paths) as waiting:
        for path in paths:
            left = len(paths) - len(found)
            if waiting.long and left > 1 and (processes or _processors()) > 1:
                break
            found.append(examine_tar(path, waiting.tick))
        rest = paths[len(found) :]
        if rest:
            found += _in_processes(rest, min(processes or _processors(), len(rest)), waiting)
    return found


def repeated_keys(paths: Sequence[str]) -> int:
    """How many samples have a key that came before in these tars, as 64 bits of a hash tell: 8 bytes each.

    Raises:
        SightwordError: as `examine_tars`.
    """
    found = [np.zeros(0, dtype=np.uint64)]
    with _Waiting(paths, "comparing the keys of") as waiting:
        for path in paths:
            tar = Tar(Path(path))
            found.append(hashes_of(tar))
            waiting.tick(tar.stat.st_size)
    hashes = np.concatenate(found)
    hashes.sort()
    return int((hashes[1:] == hashes[:-1]).sum())


def examine_tar(path: str, tick: Tick = lambda size: None) -> Examined:
    """Size and facts of one tar; errors as `examine_tars`."""
    tar = Tar(Path(path))
    return tar.stat.st_size, facts_of(tar, tick)


@final
class _Waiting:
    """A bar over bytes, from the third second on."""

    def __init__(self, paths: Sequence[str], what: str = "indexing") -> None:
        self._paths, self._what = paths, what
        self._begun, self._done = time.monotonic(), 0
        self._bar: Bar | None = None

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    @property
    def long(self) -> bool:
        """Whether it takes long."""
        return time.monotonic() - self._begun > PATIENCE

    def tick(self, size: int) -> None:
        """So many bytes more are done."""
        self._done += size
        if self._bar is not None:
            self._bar.add(size)
        elif self.long:
            total = sum(os.path.getsize(path) for path in self._paths if os.path.exists(path))
            self._bar = Bar(f"{self._what} {len(self._paths):,} shards", total, "bytes").__enter__()
            self._bar.add(self._done)

    def reach(self, done: int) -> None:
        """So many bytes are done in all."""
        self.tick(done - self._done)


def _in_processes(paths: Sequence[str], count: int, waiting: _Waiting) -> Iterator[Examined]:
    context = multiprocessing.get_context()  # the same as a DataLoader's workers
    shared, before = context.Value(ctypes.c_int64, 0), waiting._done
    size = max(1, min(_BATCH, len(paths) // (4 * count)))
    pool = ProcessPoolExecutor(count, context, _begin, (shared,))
    try:
        jobs = [pool.submit(_examine, paths[i : i + size]) for i in range(0, len(paths), size)]
        running = set(jobs)
        while running:
            finished, running = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
            waiting.reach(before + shared.value)
            _raise_first(finished)
        for job in jobs:
            yield from job.result()
    except BrokenProcessPool as error:
        raise SightwordError(
            "a process that examined shards died, often for want of memory; start again: what is done is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _raise_first(finished: set[Future[list[Examined]]]) -> None:
    for job in finished:
        job.result()


def _begin(shared: Any) -> None:
    global _counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    _counter = shared


def _examine(paths: Sequence[str]) -> list[Examined]:
    def tick(size: int) -> None:
        with _counter.get_lock():
            _counter.value += size

    return [examine_tar(path, tick) for path in paths]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
