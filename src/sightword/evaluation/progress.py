"""A bar for whatever turns out to take more than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable
from typing import TypeVar

from rich.console import Console

from sightword.training.progress import bar_with_eta

T = TypeVar("T")
PATIENCE = 2.0  # seconds before anything is shown
OFTEN = 0.05  # seconds between two looks at the bar
BETWEEN = 15.0  # seconds between lines where the output is not a terminal


def watched(steps: Iterable[T], total: int, what: str, each: int = 1) -> Generator[T, None, None]:
    """The same steps, each worth `each` of `total`, with a bar and an ETA on the standard error.

    A million short steps may be watched: the bar is looked at now and then.
    """
    console = Console(stderr=True)
    started = printed = looked = time.monotonic()
    bar = bar_with_eta(console, transient=True)
    task = bar.add_task(what, total=total)
    done = 0
    try:
        for step in steps:
            yield step
            done = min(done + each, total)
            now = time.monotonic()
            if now - looked < OFTEN:
                continue
            looked = now
            bar.update(task, completed=done)
            if console.is_terminal and not bar.live.is_started and now - started > PATIENCE:
                bar.start()
            elif not console.is_terminal and now - printed > BETWEEN:
                printed = now
                left = (now - started) / done * (total - done)
                print(f"{what}: {done}/{total}, {now - started:.0f} s, eta {left:.0f} s", file=sys.stderr)
    finally:
        if bar.live.is_started:  # rich prints an empty line when it stops what never began
            bar.stop()
