"""How far a transfer of many shards is, for people: a bar with ETA, or a line now and then."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Literal, final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_EVERY = 15.0  # seconds between lines where the output is not a terminal


@final
class Bar:
    """A bar over bytes or shards, which any thread may move. Of several ranks, the first shows it."""

    def __init__(self, title: str, total: int, unit: Literal["bytes", "shards"]) -> None:
        self._console = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
        self._title, self._total, self._unit, self._done = title, total, unit, 0
        self._begun = self._printed = time.monotonic()
        self._lock = threading.Lock()
        counted = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
        columns = TextColumn("[bold]{task.description}"), BarColumn(), *counted, TextColumn("eta")
        shown = self._console.is_terminal and total > 0
        self._bar = Progress(
            *columns, TimeRemainingColumn(), console=self._console, transient=True, disable=not shown
        )
        self._task = self._bar.add_task(title, total=total)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def add(self, count: int) -> None:
        """So much more is done; less, where something has to be done again."""
        with self._lock:
            self._done += count
            self._bar.update(self._task, completed=self._done)
            now = time.monotonic()
            if not self._console.is_terminal and now - self._printed > _EVERY and self._done > 0:
                self._printed = now
                self._console.print(self._line(now - self._begun), highlight=False)

    def _line(self, seconds: float) -> str:
        left = seconds / self._done * max(0, self._total - self._done)
        size, unit = (1e6, "MB") if self._unit == "bytes" else (1, "shards")
        so_far = f"{self._done / size:,.0f}/{self._total / size:,.0f} {unit}"
        return f"{self._title}: {so_far}, {seconds:.0f} s, eta {left:.0f} s"
