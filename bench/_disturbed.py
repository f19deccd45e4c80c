"""The command `sightword`, watched and disturbed from inside: what faults.py starts in its place.

    python bench/_disturbed.py PLAN.json train --resume RUN

It writes a line of JSON for each process, each batch that training was given and each file that was flushed
or renamed, and does what the plan says at the moment it names. Moments are events of this process: Python's
own audit events of files (open, os.rename, ...), and a few functions that are wrapped here (fsync,
safetensors' writing, records, batches). So a fault strikes between two writes, at the same place every time.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import re
import resource
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}  # audit events
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Aim:
    """What to do at which moment.

    event, where: the moment's name and a pattern of what it is about: a path in the run's folder, a step.
    number: which of these moments, from 1; counted from when the batch of step `after` was given.
    do: `kill`; `cut`, kill after the file lost its end, as a power failure takes what was not flushed;
        `stop`, SIGSTOP; `full`, fill the disk up to `room` bytes; `limit`, forbid files larger than `room`.
    rank, restart: in which process, and in which of torchrun's starts of it.
    """

    event: str
    where: str = ""
    number: int = 1
    after: int = -1
    do: str = "kill"
    room: int = 0
    rank: int = 0
    restart: int = 0


@dataclass(frozen=True)
class Plan:
    """What one process watches and suffers."""

    run: str
    trace: str
    attempt: int
    seed: int = 0
    aims: tuple[Aim, ...] = ()
    events: bool = False  # write down every event, not only those that are judged

    def write(self, file: Path) -> Path:
        """As a file that the process reads."""
        file.write_text(json.dumps(asdict(self)))
        return file

    @staticmethod
    def read(file: str) -> Plan:
        """What `write` wrote."""
        found = json.loads(Path(file).read_text())
        return Plan(**{**found, "aims": tuple(Aim(**aim) for aim in found["aims"])})


@dataclass
class Watcher:
    """Notes what happens in this process, and strikes."""

    plan: Plan
    rank: int = field(default_factory=lambda: int(os.environ.get("RANK", "0")))
    restart: int = field(default_factory=lambda: int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")))
    step: int = -1
    seen: Counter[int] = field(default_factory=Counter)
    busy: bool = False

    def __post_init__(self) -> None:
        self.pid, self.run = os.getpid(), os.path.abspath(self.plan.run)
        self.trace = os.open(self.plan.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.note("start", pid=self.pid, world=int(os.environ.get("WORLD_SIZE", "1")))

    def note(self, what: str, **more: Any) -> None:
        """One line, whole even when the next instruction is the last."""
        here = {"attempt": self.plan.attempt, "restart": self.restart, "rank": self.rank}
        line = {"what": what, **here, "time": time.time(), **more}
        os.write(self.trace, json.dumps(line).encode() + b"\n")

    def install(self) -> None:
        """Watch everything from here on."""
        sys.addaudithook(self._audit)
        os.fsync = self._around(os.fsync, "os.fsync", _place, self._flushed)
        self._watch_libraries()

    def event(self, name: str, about: str) -> None:
        """Something is about to happen."""
        if os.getpid() != self.pid or self.busy:
            return  # a loader process, or what an aim does itself
        self.busy = True
        try:
            if self.plan.events:
                self.note("event", event=name, about=about, after=self.step)
            for number, aim in enumerate(self.plan.aims):
                if self._meant(aim, name, about):
                    self.seen[number] += 1
                    if self.seen[number] == aim.number:
                        self.note("aim", do=aim.do, event=name, about=about, after=self.step)
                        self._strike(aim, about)
        finally:
            self.busy = False

    def _meant(self, aim: Aim, name: str, about: str) -> bool:
        here = (aim.rank, aim.restart) == (self.rank, self.restart)
        return here and aim.event == name and self.step >= aim.after and bool(re.search(aim.where, about))

    def _strike(self, aim: Aim, about: str) -> None:
        path = Path(self.run, about)
        if aim.do == "cut" and path.is_file():
            chance = random.Random(self.plan.seed)
            os.truncate(path, chance.randrange(path.stat().st_size + 1))
        if aim.do in ("kill", "cut"):
            os.kill(self.pid, signal.SIGKILL)
        elif aim.do == "stop":
            os.kill(self.pid, signal.SIGSTOP)
        elif aim.do == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (aim.room, resource.RLIM_INFINITY))
        elif aim.do == "full":
            fill(Path(self.run).parent / "ballast", aim.room)

    def _audit(self, name: str, details: tuple[Any, ...]) -> None:
        if name not in FILES or os.getpid() != self.pid:
            return
        if name == "open" and not (isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)):
            return  # only read
        about = self._inside(details[0])
        if about is None:
            return
        self.event(name, about)
        if name == "os.rename":
            self._published(about, os.fsdecode(details[1]))

    def _inside(self, path: Any) -> str | None:
        """A path relative to the run, when it lies in it."""
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        whole = os.path.abspath(os.fsdecode(path))
        return os.path.relpath(whole, self.run) if whole.startswith(self.run + os.sep) else None

    def _flushed(self, path: str) -> None:
        about = self._inside(path)
        if about is not None and os.path.isfile(path):
            self.note("flushed", about=about, state=_state(path))

    def _published(self, about: str, target: str) -> None:
        """What is renamed in the run, to be compared with what was flushed before."""
        source = Path(self.run, about)
        files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
        states = {os.path.relpath(file, self.run): _state(file) for file in files}
        self.note("published", about=about, target=self._inside(target), files=states)

    def _around(
        self,
        function: Callable[..., Any],
        name: str,
        about: Callable[..., str],
        done: Callable[[str], None] | None = None,
    ) -> Callable[..., Any]:
        """A function with an event before it, and another, `name` with ` done`, after it."""

        def watched(*given: Any, **named: Any) -> Any:
            where = about(*given, **named)
            inside = self._inside(where) if os.sep in where else where
            if inside is not None:
                self.event(name, inside)
            result = function(*given, **named)
            if done:
                done(where)
            if inside is not None:
                self.event(f"{name} done", inside)
            return result

        return watched

    def _watch_libraries(self) -> None:
        import safetensors.torch

        safetensors.torch.save_file = self._around(safetensors.torch.save_file, "save_file", _second)

        from sightword.training.records import Records
        from sightword.training.supply import Supply

        Records.write = self._around(Records.write, "record", lambda _, kind, **__: kind)  # type: ignore[method-assign]
        given = Supply.__next__

        def watched(supply: Supply) -> Any:
            batch = given(supply)
            callers = sys._getframe(1), sys._getframe(2)  # through `fetched`
            prepared = any("preparing" in frame.f_code.co_filename for frame in callers)
            self._given(batch, "prepare" if prepared else "batch")
            return batch

        Supply.__next__ = watched  # type: ignore[method-assign,assignment]

    def _given(self, batch: Any, what: str) -> None:
        if what == "batch":
            self.step = batch.step
        self.note(what, step=batch.step, digest=digest(batch), ids=batch.ids.tolist())
        self.event(what, str(batch.step))


def digest(batch: Any) -> str:
    """A hash of everything that a batch is made of: keys, captions, pixels."""
    told = hashlib.sha256(repr((batch.step, batch.keys, batch.seed)).encode())
    parts = {"ids": batch.ids, "epochs": batch.epochs}
    parts |= {f"view {view!r}": pixels for view, pixels in batch.views.items()}
    for wish, words in batch.captions.items():
        parts |= {f"{wish!r} ids": words.ids, f"{wish!r} lengths": words.lengths}
    for name in sorted(parts):
        value = parts[name]
        told.update(name.encode())
        told.update(value.numpy().tobytes() if hasattr(value, "numpy") else repr(value).encode())
    return told.hexdigest()[:16] + (digest(batch.sight) if batch.sight else "")


def fill(ballast: Path, room: int) -> None:
    """Leave no more than `room` bytes free where `ballast` lies."""
    with ballast.open("ab") as file, suppress(OSError):
        while True:
            disk = os.statvfs(ballast.parent)
            size = min(1 << 20, disk.f_bavail * disk.f_frsize - room)
            if size <= 0:
                return
            file.write(b"\0" * size)
            file.flush()


def _place(handle: int) -> str:
    return os.readlink(f"/proc/self/fd/{handle}") if isinstance(handle, int) else handle.name


def _second(tensors: Mapping[str, Any], file: Any, *more: Any) -> str:
    return os.path.abspath(os.fspath(file))


def _state(path: str | Path) -> list[int]:
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns]


def run(plan_file: str, arguments: list[str]) -> None:
    """The command with these arguments, under the plan."""
    Watcher(Plan.read(plan_file)).install()
    sys.argv = ["sightword", *arguments]
    runpy.run_module("sightword", run_name="__main__", alter_sys=True)


def forked(plan_file: str, arguments: list[str], log: str) -> None:
    """`run` in a process that a fork server made, which has the libraries loaded already."""
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # as in a process that was not made so
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    run(plan_file, arguments)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
