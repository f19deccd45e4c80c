"""Locks between processes, by files: `flock`, which the kernel releases when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK = 0.05  # seconds between tries


@contextmanager
def locked(path: Path, seconds: float, progress: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file while the context lasts, against other processes and other threads of this one.

    Args:
        path: made where it is not there; never removed.
        seconds: how long to wait while nothing moves.
        progress: what the holder is working on: as long as the answer changes, it is waited for.

    Raises:
        TimeoutError: the holder neither finishes nor moves.
        OSError: the file cannot be made.
    """
    with _opened(path) as handle:
        _wait(handle, seconds, progress)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing alone would leave it to a process forked meanwhile


@contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of a file if nobody else does; tells whether."""
    with _opened(path) as handle:
        free = _try(handle)
        try:
            yield free
        finally:
            if free:
                fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _wait(handle: int, seconds: float, progress: Callable[[], object]) -> None:
    seen, since = progress(), time.monotonic()
    while not _try(handle):
        time.sleep(_LOOK)
        now = progress()
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > seconds:
            raise TimeoutError(f"a lock was not released within {seconds:,.0f} s")


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
