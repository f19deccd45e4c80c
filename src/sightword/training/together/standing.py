"""Where a process stands: its step, what it says that it does, and its main thread's frames."""

from __future__ import annotations

import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

import sightword

_OWN = Path(sightword.__file__).resolve().parent
_TORCH = Path(torch.__file__).resolve().parent


@dataclass(frozen=True)
class Place:
    """Where a thread stands.

    own: the innermost frame of this package, `sightword/training/supply.py:120 (__next__)`, or "".
    innermost: the innermost frame at all.
    collective: whether that is one of torch's collectives.
    """

    own: str
    innermost: str
    collective: bool

    def __str__(self) -> str:
        return self.innermost if self.own in ("", self.innermost) else f"{self.own}, there {self.innermost}"


@dataclass(frozen=True)
class Standing:
    """What a rank tells of itself.

    step: the one that it is at.
    beats: signs of life since it started: who has fewer than others is behind them.
    doing: what it said that it does, such as "saving", or "".
    paused: whether that may take long.
    seconds: since its step, or its pause, began.
    left: why it has left the loop, or "".
    told: how often it has told its standing.
    """

    rank: int
    host: str
    pid: int
    step: int
    beats: int
    doing: str
    paused: bool
    seconds: float
    own: str
    innermost: str
    collective: bool
    left: str
    told: int

    @property
    def name(self) -> str:
        """Who it is."""
        return f"rank {self.rank} on {self.host}"

    @property
    def place(self) -> Place:
        """Where its main thread is."""
        return Place(self.own, self.innermost, self.collective)

    @property
    def where(self) -> str:
        """Where it stands, in words."""
        return f"at step {self.step}{f', {self.doing},' if self.doing else ''} in {self.place}"


def main_threads_stack() -> tuple[str, ...]:
    """All frames of this process's main thread, the outermost first."""
    return tuple(_named(one) for one in _summaries(_main_frame()))


def main_threads_place() -> Place:
    """Where this process's main thread stands now."""
    return place_of(_main_frame())


def place_of(frame: FrameType | None) -> Place:
    """Where a thread stands, by its innermost frame."""
    summaries = _summaries(frame)
    if not summaries:
        return Place("", "nothing: it has ended", False)
    own = [one for one in summaries if Path(one.filename).is_relative_to(_OWN)]
    innermost = summaries[-1]
    collective = Path(innermost.filename).is_relative_to(_TORCH / "distributed")
    return Place(_named(own[-1]) if own else "", _named(innermost), collective)


def _main_frame() -> FrameType | None:
    return sys._current_frames().get(threading.main_thread().ident or 0)


def _summaries(frame: FrameType | None) -> traceback.StackSummary:
    return traceback.StackSummary.extract(reversed(list(traceback.walk_stack(frame))) if frame else [])


def _named(one: traceback.FrameSummary) -> str:
    """File, line and function; files of installed packages from the package on."""
    path = Path(one.filename)
    for root in (_OWN.parent, _TORCH.parent):
        if path.is_relative_to(root):
            path = path.relative_to(root)
            break
    return f"{path}:{one.lineno} ({one.name})"
