"""Work on many small things, in threads where that pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from itertools import chain, islice
from typing import TypeVar

SHORT = 0.0005  # seconds: for less, threads wait for Python's lock and for each other
_TRIED = 2  # things that tell how long one takes

S = TypeVar("S")
T = TypeVar("T")


def mapped(work: Callable[[S], T], things: Iterable[S], threads: Executor) -> Iterator[T]:
    """`map(work, things)`: begun by the threads at once, or, where one takes a moment, done when asked for.

    Small pictures of 0.1 ms each take two threads two to three times the processor time of one.
    """
    left = iter(things)
    begun = time.perf_counter()
    done = [work(thing) for thing in islice(left, _TRIED)]
    short = time.perf_counter() - begun < SHORT * len(done)
    return chain(done, map(work, left) if short else threads.map(work, left))
