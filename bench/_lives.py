"""A run under test from its beginning to its end, through its faults, held against one that had none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from _attempts import Attempt, How, Line, Trace
from _disturbed import Plan
from _kinds import KINDS
from _moments import Fault
from _verdicts import Whole, leftovers, unflushed, wrong_batches, wrong_records, wrong_weights

WRONG = ("lost", "batches", "weights", "records", "leftovers", "answers")
ENDS = 3  # undisturbed starts after which a run that has not ended is lost


@dataclass(frozen=True)
class Shape:
    """What is trained, and by how many processes."""

    name: str
    objective: str
    flags: tuple[str, ...] = ()
    how: How = "forked"
    ranks: int = 1
    total: int = 40
    every: int = 5

    def command(self, data: Path, out: Path, seed: int = 0) -> list[str]:
        """What begins such a run."""
        length = ["--steps", str(self.total), "--save-every", str(self.every), "--log-every", "1"]
        what = ["--data", str(data), "--objective", self.objective, "--seed", str(seed)]
        return ["train", *what, *length, *self.flags, "--out", str(out)]


@dataclass
class Suffered:
    """What came of one fault."""

    kind: str
    shape: str
    life: int
    struck: bool
    what: str = ""
    wrong: list[tuple[str, str]] = field(default_factory=list)
    seconds: float | None = None  # from the next start to its first batch


class Life:
    """One run and everything that happens to it."""

    def __init__(self, number: int, shape: Shape, data: Path, folder: Path, whole: Whole | None) -> None:
        self.number, self.shape, self.data, self.folder, self.whole = number, shape, data, folder, whole
        folder.mkdir(parents=True)
        self.out = folder / "disk" / "run"
        self.out.parent.mkdir()
        self.trace = Trace(folder / "trace.jsonl")
        self.attempts: list[Attempt] = []
        self.suffered: list[Suffered] = []
        self._spoiled: dict[str, tuple[int, int]] = {}
        self._seen_at_start: set[str] = set()

    # What faults ask of a run.

    @property
    def start(self) -> int:
        """The step of the newest checkpoint that nobody spoiled."""
        found = sorted((self.out / "checkpoints").glob("step-*"))
        good = [path for path in found if self._spoiled.get(path.name) != _which(path)]
        return step_of(good[-1].name) if good else 0

    @property
    def begun(self) -> bool:
        """Whether it was ever started."""
        return bool(self.attempts)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.shape.total

    @property
    def every(self) -> int:
        """Steps between checkpoints."""
        return self.shape.every

    @property
    def events(self) -> list[Line]:
        """Everything that happened in the undisturbed run."""
        assert self.whole is not None
        return self.whole.events

    def run_whole(self) -> Whole:
        """The undisturbed run itself.

        Raises:
            RuntimeError: even this one fails.
        """
        attempt = self._start(Fault(), events=True)
        if attempt.end():
            raise RuntimeError(f"the undisturbed run of '{self.shape.name}' failed: {attempt.said()[-2000:]}")
        return Whole(self.out, self.trace.lines())

    def suffer(self, kind: str, chance: Random) -> None:
        """One fault, and what it did."""
        expected, fault = self.start, KINDS[kind].draw(self, chance)
        attempt, before = self._start(fault), self.suffered[-1:]
        one = Suffered(kind, self.shape.name, self.number, struck=True)
        self.suffered.append(one)
        try:
            one.struck = fault.act is None or fault.act(attempt)
            code = attempt.end()
        except TimeoutError as error:
            one.wrong.append(("lost", f"hung: {error}"))
            return
        self._judge_start(attempt, expected, before)
        self._judge_restarts(attempt, one)
        aims = attempt.lines("aim")
        one.struck &= not fault.aims or bool(aims)
        one.struck &= code != 0 or not self._ended()  # else it came when all steps were done
        one.what = "; ".join(f"{aim['do']} at {aim['event']} {aim['about']}" for aim in aims)
        if one.struck:
            one.wrong += self._answers(attempt, fault, code)
        elif code != 0:
            one.wrong.append(("lost", f"exit code {code} before it was struck: {attempt.said()[-600:]}"))
        (self.out.parent / "ballast").unlink(missing_ok=True)  # as a user makes room before going on
        if fault.spoil and one.struck:
            one.what = fault.spoil(self.out, chance)
            self._mark(one.what)

    def finish(self) -> None:
        """Let it run to its end, and compare it with the undisturbed run."""
        for _ in range(ENDS):
            expected, attempt = self.start, self._start(Fault())
            try:
                code = attempt.end()
            except TimeoutError as error:
                return self.everyone("lost", str(error))
            self._judge_start(attempt, expected, self.suffered[-1:])
            if code == 0 and self._ended():
                break
        else:
            return self.everyone("lost", f"exit code {code}: {attempt.said()[-600:]}")
        for what, why in self._compare():
            self.everyone(what, why)
        return None

    def _start(self, fault: Fault, events: bool = False) -> Attempt:
        there = {path.name: _which(path) for path in (self.out / "checkpoints").glob("step-*")}
        self._spoiled = {name: one for name, one in self._spoiled.items() if there.get(name) == one}
        self._seen_at_start = set(self._spoiled)
        number = len(self.attempts)
        plan = Plan(str(self.out), str(self.trace.file), number, self.number, fault.aims, events)
        resumes = (self.out / "config.toml").exists()
        command = self.shape.command(self.data, self.out)
        arguments = ["train", "--resume", str(self.out)] if resumes else command
        how = self.shape.how if self.shape.how == "torchrun" else fault.how or self.shape.how
        mark = f"{os.getpid()}-{self.number}-{number}"
        attempt = Attempt(
            how, plan, self.trace, arguments, self.folder, mark, self.shape.ranks, fault.restarts
        )
        self.attempts.append(attempt)
        return attempt.start()

    def _mark(self, told: str) -> None:
        """Remember which checkpoints are spoiled, and that no others are."""
        for path in (self.out / "checkpoints").glob("step-*"):
            if f"{path.name}: " in told:
                self._spoiled[path.name] = _which(path)

    def _judge_start(self, attempt: Attempt, expected: int, before: list[Suffered]) -> None:
        """It must go on from the newest checkpoint that is whole; else the fault before it is to blame."""
        first = next(iter(attempt.lines("batch")), None)
        if first is None:
            return  # struck again before
        said, spoiled = attempt.said(), self._seen_at_start
        for blamed in before:
            blamed.seconds = blamed.seconds or first["time"] - attempt.begun
            if first["step"] != expected:
                blamed.wrong.append(("lost", f"went on with step {first['step']}, expected {expected}"))
            silent = [
                name for name in spoiled if step_of(name) > expected and f"{name} is not whole" not in said
            ]
            if silent:
                blamed.wrong.append(("answers", f"did not say that {silent} are not whole"))
            if expected == 0 and spoiled and "starts from the beginning" not in said:
                blamed.wrong.append(("answers", "did not say that it starts from the beginning"))

    def _judge_restarts(self, attempt: Attempt, one: Suffered) -> None:
        """Where torchrun started it again, it must have gone on from the newest whole checkpoint too."""
        published = [x for x in attempt.trace.lines() if x["what"] == "published" and x["target"]]
        saves = [
            (x["time"], step_of(x["target"]))
            for x in published
            if "checkpoints/step-" in x["target"]
            and (x["time"] > attempt.begun or Path(x["target"]).name not in self._seen_at_start)
        ]
        for first in (x for x in attempt.lines("batch") if x["restart"] == 1):
            expected = max((step for time, step in saves if time < first["time"]), default=0)
            last = max(x["time"] for x in attempt.lines("batch") if x["restart"] == 0)
            one.seconds = first["time"] - last
            if first["step"] != expected:
                one.wrong.append(("lost", f"started again at step {first['step']}, expected {expected}"))
            return

    def _answers(self, attempt: Attempt, fault: Fault, code: int) -> Iterator[tuple[str, str]]:
        """What is wrong with how the run ended."""
        launcher = {1} if self.shape.how == "torchrun" else set()  # whatever ends its processes, but 0
        if code not in fault.codes | launcher:
            yield "answers", f"exit code {code}, wanted {sorted(fault.codes)}: {attempt.said()[-500:]}"
        if fault.said and not re.search(fault.said, attempt.said(), re.MULTILINE):
            yield "answers", f"said nothing like '{fault.said}': {attempt.said()[-500:]}"
        errors = attempt.errors()
        if "Traceback" in errors:
            yield "answers", f"showed a traceback: {attempt.said()[-1500:]}"
        if code == 2 and len(errors) != 1:
            yield "answers", f"told {len(errors)} errors: {errors}"

    def _ended(self) -> bool:
        with suppress(OSError):
            return b'{"kind": "end"' in (self.out / "metrics.jsonl").read_bytes()
        return False

    def everyone(self, what: str, why: str) -> None:
        """A fault of the whole run: nobody knows which of its faults is to blame."""
        for one in self.suffered:
            one.wrong.append((what, why))

    def _compare(self) -> Iterator[tuple[str, str]]:
        whole = self.whole
        assert whole is not None
        yield from wrong_batches(self.trace.lines(), whole)
        yield from wrong_weights(self.out, whole.out)
        yield from wrong_records(self.out, whole.out)
        yield from leftovers(self.out, whole.out)
        yield from unflushed(self.trace.lines())
        yield from (("leftovers", f"processes {left}") for left in [self._left_alive()] if left)

    def _left_alive(self) -> list[int]:
        """Processes of any start that still live; loader processes of a killed one have some seconds."""
        deadline = time.monotonic() + 12
        while True:
            left = [pid for attempt in self.attempts for pid in attempt.alive()]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.2)


def _which(folder: Path) -> tuple[int, int]:
    """Tells a folder from another that took its place."""
    found = folder.stat()
    return found.st_ino, found.st_mtime_ns


def step_of(name: str) -> int:
    """The step of a checkpoint's folder."""
    return int(name.rpartition("-")[2])


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A disk of its own size at a folder (tmpfs); False where that is not allowed."""
    size = f"size={megabytes}m"
    made = (
        shutil.which("mount")
        and os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "faults", str(folder)], capture_output=True, check=False
        ).returncode
    )
    try:
        yield bool(made)
    finally:
        if made:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
