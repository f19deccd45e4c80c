"""A thread in every process that sees when training hangs, says which rank holds it up where, and ends it.

Not by an exception: the main thread of a run that hangs sits in C++, in a collective or a read, and would
meet one only when it comes back. So the process ends by `os._exit(75)`; torchrun then stops the other
processes and starts all of them again, as often as --max-restarts allows.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from sightword import distributed
from sightword.errors import SightwordError
from sightword.training.disk import write_text
from sightword.training.together.board import Board, torchruns_board
from sightword.training.together.hang import LOST, Verdict, judge
from sightword.training.together.lost import lost
from sightword.training.together.rollcall import RollCall
from sightword.training.together.standing import Standing, main_threads_place, main_threads_stack

HANG = 75  # the exit status of a hang: EX_TEMPFAIL of sysexits.h, try again
PATIENT = 6  # times a step's limit, what was announced by `pausing` may take
_FILE = "hang.json"
_LOOKS = 20  # at least so many within the limit
_JOLT = 1.0  # seconds for which a busy machine may hold up a process beyond its looks
_LAST_WRITE = 10.0  # seconds for hang.json: the disk may be what hangs
_SUMMARY = "time", "step", "said", "blamed", "minutes", "world_size"


def collectives_timeout(minutes: float) -> timedelta | None:
    """How long a process group's collectives should wait: longer than the watchdog, which tells more.

    Longer than a pause too, in which other ranks may wait in a collective for the one that saves or scores.
    None, torch's own, when nothing is watched.
    """
    return timedelta(minutes=(PATIENT + 1) * minutes) if minutes > 0 else None


class _Mark(NamedTuple):
    step: int
    beats: int
    doing: str = ""
    paused: bool = False


class Watchdog:
    """Around the loop; `beat` at every step. With `minutes` 0 nothing is watched.

    A process that was stopped and goes on (Ctrl-Z, a suspended laptop) does not count as hanging.

    Args:
        minutes: a step that takes longer is a hang.
        out: the run's directory, for `hang.json`.
        board: where ranks tell how they stand; by default torchrun's store, in several processes.
        end: what ends the process.
    """

    def __init__(
        self, minutes: float, out: Path, board: Board | None = None, end: Callable[[int], Any] = os._exit
    ) -> None:
        self._limit, self._out, self._end = 60.0 * minutes, out, end
        self._rank, self._world = distributed.rank(), distributed.world_size()
        self._tick = min(5.0, max(0.02, self._limit / _LOOKS))
        patience = min(30.0, max(1.0, self._limit / 4))
        board = (board or torchruns_board(patience)) if self._world > 1 else None
        self._call = RollCall(board, self._rank, self._world)
        self._mark, self._told, self._left = _Mark(0, 0, "starting"), 0, ""
        self._since, self._warned = time.monotonic(), False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        if self._limit > 0:
            self._call.begin()
            self._tell()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._limit > 0:
            self._stop.set()
            self._thread.join(self._tick)
            self._left = _why(error, self._mark.step)
            self._tell()

    def beat(self, step: int, doing: str = "") -> None:
        """Step `step` begins; or goes on with something else, which `doing` names. All ranks beat alike."""
        self._mark = _Mark(step, self._mark.beats + 1, doing)

    @contextmanager
    def pausing(self, what: str) -> Iterator[None]:
        """What may take six times longer than a step, such as "saving"; alone, as long as it likes."""
        before = self._mark
        self._mark = before._replace(doing=what, paused=True)
        try:
            yield
        finally:
            self._mark = before

    def last_words(self) -> str:
        """Which ranks have left the loop and why, for one that has lost them; or "". It watches no more."""
        self._stop.set()
        return self._call.last_words() if self._limit > 0 else ""

    def _watch(self) -> None:
        seen = self._mark
        while not self._wait():
            if (self._mark.step, self._mark.paused) != (seen.step, seen.paused):
                self._since, self._warned = time.monotonic(), False
            seen = self._mark
            self._tell()
            if self._seconds > self._limit / 2:
                self._call.tell_stack(main_threads_stack())
                self._call.hear()
            if self._seconds > self._limit and self._hangs():
                return

    def _wait(self) -> bool:
        """Until the next look; time in which the whole process stood still does not count."""
        before = time.monotonic()
        stopped = self._stop.wait(self._tick)
        late = time.monotonic() - before - self._tick
        if late > 3 * self._tick + _JOLT:
            self._since += late
            self._call.stood_still(late)
        return stopped

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._since

    def _tell(self) -> None:
        self._told += 1
        self._call.tell(self._standing())

    def _standing(self) -> Standing:
        mark, place = self._mark, main_threads_place()
        return Standing(
            rank=self._rank, host=socket.gethostname(), pid=os.getpid(), **mark._asdict(),
            seconds=round(self._seconds, 1), **asdict(place), left=self._left, told=self._told,
        )  # fmt: skip

    def _hangs(self) -> bool:
        """Tell of a hang and end; False when somebody does what may take long."""
        if self._call.unreachable is not None:
            return self._stop_here(self._cut_off(*self._call.unreachable))
        verdict = judge(self._call.heard, max(4 * self._tick + _JOLT, self._limit / 4))
        patient = self._seconds < PATIENT * self._limit
        if verdict.paused and (patient or self._world == 1):
            if not patient and not self._warned:
                self._warned = True
                _say(f"warning: {verdict.said}; it goes on")
            return False
        if not self._call.first_to_say():
            told = f"another rank has said why, see {self._out / _FILE}"
            return self._stop_here(f"rank {self._rank} on {socket.gethostname()} ends as well: {told}")
        said = f"{verdict.said}; every rank's stack is in {self._out / _FILE}; {self._again}"
        return self._stop_here(said, verdict)

    def _cut_off(self, seconds: float, fault: str) -> str:
        own, address = self._standing(), self._call.board.address if self._call.board else ""
        return (
            f"{own.name} has stood for {own.seconds:.0f} s {own.where}, and {address}, on rank 0's host, has"
            f" not answered for {seconds:.0f} s ({fault}): that host is dead or cannot be reached from here;"
            f" {self._again}"
        )

    def _stop_here(self, said: str, verdict: Verdict | None = None) -> bool:
        _say(f"hang: {said}")
        if verdict is not None:
            writing = threading.Thread(target=self._write, args=(said, verdict), daemon=True)
            writing.start()
            writing.join(_LAST_WRITE)
        self._end(HANG)
        return True

    def _write(self, said: str, verdict: Verdict) -> None:
        values = (
            round(time.time(), 3),
            self._mark.step,
            said,
            list(verdict.ranks),
            self._limit / 60,
            self._world,
        )
        own = {"told_by": self._rank, "stack": list(main_threads_stack())}
        table = dict(zip(_SUMMARY, values, strict=True)) | own | {"ranks": self._call.table()}
        try:
            write_text(self._out / _FILE, json.dumps(table, indent=1))
        except SightwordError as error:
            _say(f"hang: {error}")

    @property
    def _again(self) -> str:
        restarts = "torchrun starts it again if --max-restarts allows, or " if self._world > 1 else ""
        return f"{restarts}go on with: sightword train --resume {self._out}"


def last_hang(out: Path) -> dict[str, Any] | None:
    """A run's last hang without its stacks, for the records of the run that goes on; None without one."""
    try:
        table = json.loads((out / _FILE).read_text(encoding="utf-8"))
        return {name: table[name] for name in _SUMMARY}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _why(error: BaseException | None, step: int) -> str:
    """Last words of a rank that leaves the loop."""
    if error is None:
        return "it was done"
    if lost(error, step) is not None:
        return LOST
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def _say(line: str) -> None:
    """Past Python's own buffers: the main thread may hold their lock."""
    os.write(2, f"\nsightword: {line}\n".encode())
