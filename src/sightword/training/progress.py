"""Progress that people can read: a bar with ETA, or a line now and then without a screen."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_EVERY = 15.0  # seconds between lines when the output is not a terminal


def bar_with_eta(console: Console, *more: ProgressColumn, **options: Any) -> Progress:
    """A bar of the kind that every command shows: what, how far, for how long, how long still, and `more`."""
    what, eta = TextColumn("[bold]{task.description}"), TextColumn("eta")
    times = TimeElapsedColumn(), eta, TimeRemainingColumn()
    return Progress(what, BarColumn(), MofNCompleteColumn(), *times, *more, console=console, **options)


class Bar:
    """A progress bar over steps. Where the output is not a terminal it prints a line every few seconds.

    One of several processes that work together shows it.
    """

    def __init__(self, title: str, total: int, done: int = 0, shown: bool = True) -> None:
        self._console = Console(stderr=True, quiet=not shown)
        self._shown = shown
        self._title, self._total, self._done, self._begun_at = title, total, done, done
        self._started = self._printed = time.monotonic()
        note = TextColumn("{task.fields[note]}")
        self._bar = bar_with_eta(self._console, note, disable=not self._console.is_terminal)
        self._task = self._bar.add_task(title, total=total, completed=done, note="")

    def __enter__(self) -> Bar:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()
        elif self._done > self._begun_at and self._shown:
            self._line("")

    def advance(self, note: str | None = None) -> None:
        """One step done; `note` replaces what stands behind the bar."""
        self._done += 1
        fields = {} if note is None else {"note": note}
        self._bar.update(self._task, completed=self._done, **fields)  # type: ignore[arg-type]
        if self._shown and not self._console.is_terminal and time.monotonic() - self._printed > _EVERY:
            self._line(note or "")

    def _line(self, note: str) -> None:
        self._printed = time.monotonic()
        seconds = self._printed - self._started
        left = seconds / max(1, self._done - self._begun_at) * (self._total - self._done)
        print(
            f"{self._title}: {self._done}/{self._total}, {seconds:.0f} s, eta {left:.0f} s {note}",
            file=sys.stderr,
        )
