"""How far the listing of rows is, for people, when it takes longer than two seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0  # seconds before anything is shown
BETWEEN = 15.0  # seconds between lines where the output is not a terminal
EVERY = 1000  # rows between looks at the clock
T = TypeVar("T")


def counted(rows: Iterable[T], expected: int, name: str) -> Iterator[T]:
    """The same rows, with a bar on the standard error. Of several ranks, the first shows it.

    Args:
        rows: whatever comes.
        expected: about how many; 0: nobody knows.
        name: what they are rows of.
    """
    console = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
    begun = told = time.monotonic()
    columns = TextColumn("listing {task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("eta")
    bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
    task = bar.add_task(name, total=expected or None)
    done = 0
    try:
        for row in rows:
            yield row
            done += 1
            if done % EVERY:
                continue
            now = time.monotonic()
            bar.update(task, completed=done, total=max(done, expected) if expected else None)
            if console.is_terminal and not bar.live.is_started and now - begun > PATIENCE:
                bar.start()
            elif not console.is_terminal and now - told > BETWEEN:
                told = now
                console.print(_line(name, done, expected, now - begun), highlight=False)
    finally:
        if bar.live.is_started:
            bar.stop()


def _line(name: str, done: int, expected: int, seconds: float) -> str:
    so_far = f"listing {name}: {done:,} rows, {seconds:.0f} s"
    if not expected:
        return so_far
    return f"{so_far}, eta {seconds / done * max(0, expected - done):.0f} s"
