"""One start of a run under test: as a forked process, as a command, or by torchrun; and what it left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import _disturbed
from _disturbed import Plan

How = Literal["forked", "command", "torchrun"]
Line = dict[str, Any]
PATIENCE = 240.0  # seconds for anything to happen, on a busy machine
_POLL = 0.003
_MARK = "SIGHTWORD_FAULTS"  # in the environment of every process of a run under test
_LOADED = ["sightword.recipes.runs", "torch._dynamo", "torch.utils.data"]


def fork_server() -> Any:
    """Processes from a server that has imported everything once: a start costs tenths of a second."""
    context = get_context("forkserver")
    context.set_forkserver_preload([*_LOADED, "_disturbed"])
    return context


@dataclass
class Trace:
    """The lines that all processes of a run wrote, read as they come."""

    file: Path
    _lines: list[Line] = field(default_factory=list)
    _of: dict[tuple[int, str], list[Line]] = field(default_factory=dict)
    _read: int = 0

    def lines(self) -> list[Line]:
        """Every whole line so far."""
        self._hear()
        return self._lines

    def of(self, attempt: int, what: str) -> list[Line]:
        """Those of one start and kind."""
        self._hear()
        return self._of.get((attempt, what), [])

    def _hear(self) -> None:
        if self.file.exists():
            with self.file.open("rb") as file:
                file.seek(self._read)
                new, _, _ = file.read().rpartition(b"\n")
            if new:
                self._read += len(new) + 1
                for line in (json.loads(line) for line in new.split(b"\n")):
                    self._lines.append(line)
                    self._of.setdefault((line["attempt"], line["what"]), []).append(line)


@dataclass
class Attempt:
    """A started run, from its first process to its last.

    how: which kind of start.
    plan: what its processes watch and suffer.
    arguments: of `sightword`.
    ranks, restarts: with torchrun, how many processes and how often they are started again.
    """

    how: How
    plan: Plan
    trace: Trace
    arguments: list[str]
    folder: Path
    mark: str
    ranks: int = 1
    restarts: int = 0
    begun: float = field(default_factory=time.time)

    def start(self) -> Attempt:
        """Start it, with all that it says going to a file."""
        name = f"{self.plan.attempt:03}"
        self.log = self.folder / f"{name}.log"
        plan = self.plan.write(self.folder / f"{name}.json")
        if self.how == "forked":
            given = str(plan), self.arguments, str(self.log)
            self._process = fork_server().Process(target=_disturbed.forked, args=given)
            self._process.start()
            self.pid = int(self._process.pid)
            return self
        own = [str(Path(_disturbed.__file__)), str(plan), *self.arguments]
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(self.ranks)]
        torchrun += ["--max-restarts", str(self.restarts), "--monitor-interval", "0.1"]
        command = [sys.executable, *(torchrun if self.how == "torchrun" else []), *own]
        with self.log.open("ab") as log:
            environment = os.environ | {_MARK: self.mark}
            self._popen = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._popen.pid
        return self

    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.how == "forked":
            code = self._process.exitcode
            return None if code is None else int(code)
        return self._popen.poll()

    def end(self) -> int:
        """Wait until it has ended, with all processes that torchrun had started.

        Raises:
            TimeoutError: it did not; it is killed.
        """
        self.until(lambda: self.code() is not None)
        code = self.code()
        assert code is not None
        deadline = time.monotonic() + PATIENCE
        while self.how == "torchrun" and self.alive():
            if time.monotonic() > deadline:
                self.kill_all()
                raise TimeoutError(f"torchrun ended and left processes behind: {self.said()[-300:]}")
            time.sleep(0.2)
        return code

    def until(self, true: Callable[[], object], limit: float = PATIENCE) -> bool:
        """Wait for something, at most until the run has ended; returns whether it came.

        Raises:
            TimeoutError: it did not come in time; the run is killed.
        """
        deadline = time.monotonic() + limit
        while not true():
            if self.code() is not None:
                return bool(true())
            if time.monotonic() > deadline:
                self.kill_all()
                raise TimeoutError(f"nothing for {limit:.0f} s; {self.log} says: {self.said()[-300:]}")
            time.sleep(_POLL)
        return True

    def said(self) -> str:
        """Everything that it printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def lines(self, what: str) -> list[Line]:
        """What its processes wrote into the trace."""
        return self.trace.of(self.plan.attempt, what)

    def reached(self, step: int) -> bool:
        """Whether training was given the batch of a step."""
        return any(line["step"] >= step for line in self.lines("batch"))

    def pids(self) -> list[int]:
        """The training processes of its latest start, by rank."""
        latest = {line["rank"]: line["pid"] for line in self.lines("start")}
        return [latest[rank] for rank in sorted(latest)]

    def send(self, number: int, *pids: int) -> None:
        """A signal to these processes, or else to the one that was started; nothing when it has ended."""
        if self.code() is None:
            for pid in pids or (self.pid,):
                _signal(pid, number)

    def send_all(self, number: int) -> None:
        """A signal to the group of the process that was started, as a terminal's Ctrl-C."""
        if self.code() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill_all(self) -> None:
        """SIGKILL to everything that belongs to it, at once; also what torchrun started."""
        self.send(signal.SIGKILL)
        for pid in self.alive():
            _signal(pid, signal.SIGKILL)

    def loaders(self, rank: int = 0) -> list[int]:
        """Child processes of a training process."""
        pids = self.pids()
        file = Path(f"/proc/{pids[rank]}/task/{pids[rank]}/children") if pids else None
        with suppress(OSError):
            children = [int(pid) for pid in file.read_text().split()] if file else []
            return [pid for pid in children if b"resource_tracker" not in _called(pid)]
        return []

    def alive(self) -> list[int]:
        """Every living process that this start brought into the world."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                state, session = _stat(folder)
                ours = self._marked(folder) or (session == self.pid and self._traces(folder))
                if ours and state not in "ZX":
                    found.append(int(folder.name))
        return found

    def _marked(self, process: Path) -> bool:
        return f"{_MARK}={self.mark}\0".encode() in (process / "environ").read_bytes()

    def _traces(self, process: Path) -> bool:
        """Forked processes have no mark, and numbers of processes are used again."""
        trace = os.path.realpath(self.plan.trace)
        return any(os.path.realpath(file) == trace for file in (process / "fd").iterdir())

    def errors(self) -> list[str]:
        """The lines in which it told errors to the user, and whether it showed its insides."""
        said = self.said()
        told = re.findall(r"(?m)^(sightword: .*)$", said)
        ours = self.how != "torchrun" and "Traceback" in said  # torchrun shows its own for any failure
        return told + (["Traceback"] if ours or re.search(r'File "[^"]*/sightword/', said) else [])


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _called(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _stat(folder: Path) -> tuple[str, int]:
    """A process's state and session, from what stands behind its name in brackets."""
    rest = (folder / "stat").read_text().rpartition(")")[2].split()
    return rest[0], int(rest[3])
