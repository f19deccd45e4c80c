"""How several runs at once are getting on, read from their records: bars, or a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn

from sightword.config import Config
from sightword.training.progress import bar_with_eta
from sightword.training.records import read_records

SPEAK = 20.0  # seconds between lines when the output is not a terminal
_FEW = 6  # runs whose bars all stay on a screen; of more, one bar counts them
_ALL = ""  # where the bar that counts them is kept among those of runs


@dataclass
class SeveralBars:
    """A bar for each run that is under way, and where there are many, one that counts them."""

    progress: Progress
    terminal: bool
    total: int
    title: Callable[[Config], str]
    tasks: dict[str, TaskID] = field(default_factory=dict)
    done: int = 0
    failed: int = 0
    spoken: float = 0.0

    def show(self, running: Sequence[Config]) -> None:
        """Bring everything up to date."""
        lines = [self._count()] if self.many else []
        for config in running:
            steps, total, note = _standing(Path(config.out))
            self.progress.update(self._task(config), total=total, completed=steps, note=note)
            lines.append(f"{self.title(config)} {steps}/{total or '?'} {note}")
        if not self.terminal and running and time.monotonic() - self.spoken > SPEAK:
            self.spoken = time.monotonic()
            print(" | ".join(lines), file=sys.stderr, flush=True)

    def ended(self, config: Config, failed: bool) -> None:
        """A run has ended."""
        self.done += 1
        self.failed += failed
        if self.many:
            self.progress.remove_task(self.tasks.pop(config.out))
            self.progress.update(self.tasks[_ALL], completed=self.done, note=self._failures())

    @property
    def many(self) -> bool:
        """Whether there are too many for a bar each."""
        return self.total > _FEW

    def _count(self) -> str:
        return f"{self.done} of {self.total} runs ended{self._failures()}"

    def _failures(self) -> str:
        return f", {self.failed} failed" if self.failed else ""

    def _task(self, config: Config) -> TaskID:
        if config.out not in self.tasks:  # its bar appears when it begins
            self.tasks[config.out] = self.progress.add_task(self.title(config), total=None, note="starting")
        return self.tasks[config.out]


@contextmanager
def several_bars(total: int, title: Callable[[Config], str]) -> Iterator[SeveralBars]:
    """Bars for so many runs, on the standard error."""
    console = Console(stderr=True)
    note = TextColumn("{task.fields[note]}")
    progress = bar_with_eta(console, note, disable=not console.is_terminal)
    bars = SeveralBars(progress, console.is_terminal, total, title)
    if bars.many:
        bars.tasks[_ALL] = progress.add_task("runs", total=total, note="")
    with progress:
        yield bars


def _standing(out: Path) -> tuple[int, int | None, str]:
    """Steps done, steps in all, and what to say of a run."""
    records = read_records(out / "metrics.jsonl")
    total = next((r["steps_total"] for r in records if r["kind"] == "start"), None)
    steps = [r for r in records if r["kind"] == "step"]
    note = _note(steps[-1], [r for r in records if r["kind"] == "warning"]) if steps else "starting"
    if any(r["kind"] == "end" for r in records):
        note = "scoring"
    return steps[-1]["step"] if steps else 0, total, note


def _note(record: Mapping[str, Any], warnings: Sequence[Mapping[str, Any]]) -> str:
    peak = f"{record['mfu']:.0%} of peak, " if "mfu" in record else ""  # runs of earlier versions had none
    speed = f"{record['samples_per_second']:.0f}/s, {peak}data wait {record['data_wait']:.0%}"
    told = ", ".join(dict.fromkeys(str(warning["sign"]) for warning in warnings))
    return f"loss {record['loss']:.3f}, {speed}" + (f", warnings: {told} (see its log.txt)" if told else "")
