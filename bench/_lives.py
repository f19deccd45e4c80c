"""A run under test from its beginning to its end, through its faults, held against one that had none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from _attempts import Attempt, How, Line, Trace
from _disturbed import Plan
from _moments import KINDS, Fault

WRONG = ("lost", "batches", "weights", "records", "leftovers", "answers")
ENDS = 3  # undisturbed starts after which a run that has not ended is lost


@dataclass(frozen=True)
class Shape:
    """What is trained, and by how many processes.

    has: what some faults need: a loader process, an objective that prepares.
    """

    name: str
    objective: str
    flags: tuple[str, ...] = ()
    how: How = "forked"
    ranks: int = 1
    total: int = 30
    every: int = 5
    has: frozenset[str] = field(default_factory=frozenset)

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


@dataclass
class Whole:
    """The undisturbed run: what all others of its shape must be equal to."""

    out: Path
    trace: list[Line]

    @property
    def events(self) -> list[Line]:
        """All that it could have been struck at."""
        return [line for line in self.trace if line["what"] == "event"]

    @property
    def batches(self) -> dict[tuple[str, int, int], str]:
        """The digest of each batch, of preparing and of training, by step and rank."""
        given = [x for x in self.trace if x["what"] in ("batch", "prepare")]
        return {(x["what"], x["step"], x["rank"]): x["digest"] for x in given}


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
        self._spoiled: dict[str, int] = {}

    # What faults ask of a run.

    @property
    def start(self) -> int:
        """The step of the newest checkpoint that nobody spoiled."""
        found = sorted((self.out / "checkpoints").glob("step-*"))
        good = [path for path in found if self._spoiled.get(path.name) != path.stat().st_ino]
        return int(good[-1].name.partition("-")[2]) if good else 0

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
        attempt = self._start(fault)
        one = Suffered(kind, self.shape.name, self.number, struck=True)
        self.suffered.append(one)
        try:
            if fault.act:
                one.struck = fault.act(attempt)
            code = attempt.end()
        except TimeoutError as error:
            one.wrong.append(("lost", f"hung: {error}"))
            return
        one.struck &= not fault.aims or bool(attempt.lines("aim"))
        if not one.struck and code != 0:
            one.wrong.append(
                ("lost", f"exit code {code} before anything was done to it: {attempt.said()[-600:]}")
            )
        one.what = "; ".join(f"{x['do']} at {x['event']} {x['about']}" for x in attempt.lines("aim"))
        self._judge_start(attempt, expected)
        if one.struck:
            one.wrong += self._answers(attempt, fault, code)
        self._clear(attempt)
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
                return self._everyone("lost", str(error))
            self._judge_start(attempt, expected)
            if code == 0 and self._ended():
                break
        else:
            return self._everyone("lost", f"exit code {code}: {attempt.said()[-600:]}")
        for what, why in self._compare():
            self._everyone(what, why)
        return None

    def _start(self, fault: Fault, events: bool = False) -> Attempt:
        number = len(self.attempts)
        plan = Plan(str(self.out), str(self.trace.file), number, self.number, fault.aims, events)
        resumes = (self.out / "config.toml").exists()
        command = self.shape.command(self.data, self.out)
        arguments = ["train", "--resume", str(self.out)] if resumes else command
        how = self.shape.how if self.shape.how == "torchrun" else fault.how or self.shape.how
        mark = f"{os.getpid()}-{self.number}-{number}"
        attempt = Attempt(
            how, plan, self.trace, arguments, self.folder, mark, self.shape.ranks, begun=time.time()
        )
        self.attempts.append(attempt)
        return attempt.start()

    def _clear(self, attempt: Attempt) -> None:
        """Make room again, as a user would before going on."""
        (self.out.parent / "ballast").unlink(missing_ok=True)

    def _mark(self, told: str) -> None:
        """Remember which checkpoints are spoiled, and that no others are."""
        for path in (self.out / "checkpoints").glob("step-*"):
            if f"{path.name}: " in told:
                self._spoiled[path.name] = path.stat().st_ino

    def _judge_start(self, attempt: Attempt, expected: int) -> None:
        """It must go on from the newest checkpoint that is whole; the fault before it is to blame if not."""
        if not self.suffered or len(self.attempts) < 2:
            return
        before = self.suffered[-1] if attempt is not self._of_last_fault() else None
        blamed = before or (self.suffered[-2] if len(self.suffered) > 1 else None)
        if blamed is None:
            return
        first = next(iter(attempt.lines("batch")), None)
        if first is None:
            return
        blamed.seconds = first["time"] - attempt.begun
        if first["step"] != expected:
            blamed.wrong.append(("lost", f"went on with step {first['step']}, expected {expected}"))
        passed_over = {name for name in self._spoiled if f"{name} is not whole" in attempt.said()}
        present = {name for name, node in self._spoiled.items() if int(name.partition("-")[2]) > expected}
        if present - passed_over:
            blamed.wrong.append(("answers", f"did not say that {sorted(present)} are not whole"))
        if expected == 0 and self._spoiled and "starts from the beginning" not in attempt.said():
            blamed.wrong.append(("answers", "did not say that it starts from the beginning"))
        self._spoiled = {}

    def _of_last_fault(self) -> Attempt | None:
        return self.attempts[len(self.suffered) - 1] if len(self.attempts) == len(self.suffered) else None

    def _answers(self, attempt: Attempt, fault: Fault, code: int) -> Iterator[tuple[str, str]]:
        """What is wrong with how the run ended."""
        if code not in fault.codes:
            yield "answers", f"exit code {code}, wanted {sorted(fault.codes)}: {attempt.said()[-500:]}"
        if fault.said and not _found(fault.said, attempt.said()):
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

    def _everyone(self, what: str, why: str) -> None:
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


def _found(pattern: str, text: str) -> bool:
    import re

    return re.search(pattern, text, re.MULTILINE) is not None


def wrong_batches(trace: list[Line], whole: Whole) -> Iterator[tuple[str, str]]:
    """Batches that are not those of the undisturbed run, or come in another order."""
    before: dict[tuple[int, int, int], int] = {}
    for line in (x for x in trace if x["what"] in ("batch", "prepare")):
        place = line["what"], line["step"], line["rank"]
        if whole.batches.get(place) != line["digest"]:
            yield "batches", f"{place} of start {line['attempt']} is another batch"
        if line["what"] == "batch":
            start = line["attempt"], line["restart"], line["rank"]
            if before.get(start, line["step"] - 1) != line["step"] - 1:
                yield "batches", f"step {line['step']} came after step {before[start]}"
            before[start] = line["step"]
    for rank in {x["rank"] for x in trace}:
        given = {x["step"] for x in trace if x["what"] == "batch" and x["rank"] == rank}
        missing = {step for what, step, of in whole.batches if what == "batch" and of == rank} - given
        if missing:
            yield "batches", f"rank {rank} was never given {sorted(missing)}"


def wrong_weights(out: Path, whole: Path) -> Iterator[tuple[str, str]]:
    """What differs, to the byte, in the weights for use and in the last checkpoint."""
    newest = max((whole / "checkpoints").glob("step-*"))
    wanted = [whole / "model.safetensors", *(f for f in sorted(newest.rglob("*")) if f.is_file())]
    for file in wanted:
        name = file.relative_to(whole)
        if not (out / name).is_file():
            yield "weights", f"{name} is missing"
        elif _content(out / name) != _content(file):
            yield "weights", f"{name} differs"


def _content(file: Path) -> Any:
    """Without what may differ: how long it took, and the hash of that."""
    if file.name == "state.json":
        return {k: v for k, v in json.loads(file.read_text()).items() if k != "seconds"}
    if file.name == "manifest.json":
        rows = json.loads(file.read_text())
        return {name: row for name, row in rows.items() if name != "state.json"} | {"rows": sorted(rows)}
    return file.read_bytes()


def wrong_records(out: Path, whole: Path) -> Iterator[tuple[str, str]]:
    """Records of steps must be those of the undisturbed run: each once, in order, with its numbers."""
    ours, theirs = _records(out), _records(whole)
    if [_numbers(r) for r in ours if r["kind"] == "step"] != [
        _numbers(r) for r in theirs if r["kind"] == "step"
    ]:
        steps = [r["step"] for r in ours if r["kind"] == "step"]
        yield "records", f"steps {steps} are not those of the undisturbed run, or their numbers are not"
    kinds = [r["kind"] for r in ours]
    if kinds.count("start") != 1 or kinds[0] != "start" or kinds.count("end") != 1 or kinds[-1] != "end":
        yield "records", f"not one start and one end: {kinds}"
    saves = [r["step"] for r in ours if r["kind"] == "save"]
    if saves != sorted(set(saves)):
        yield "records", f"saves {saves}"
    bad = [_reasons(path / "quarantine.jsonl") for path in (out, whole)]
    if bad[0] != bad[1]:
        yield "records", f"quarantine {bad[0]} is not {bad[1]}"


def _records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def _reasons(file: Path) -> list[str]:
    return sorted(file.read_text().splitlines()) if file.exists() else []


_OF_THE_CLOCK = {
    "time",
    "step_seconds",
    "samples_per_second",
    "data_wait",
    "data_seconds",
    "tflops_per_second",
}


def _numbers(record: Line) -> Line:
    return {name: value for name, value in record.items() if name not in _OF_THE_CLOCK}


def leftovers(out: Path, whole: Path) -> Iterator[tuple[str, str]]:
    """Files that the undisturbed run does not have."""
    ours, theirs = ({str(path.relative_to(one)) for path in one.rglob("*")} for one in (out, whole))
    if ours - theirs:
        yield "leftovers", f"{sorted(ours - theirs)}"


def unflushed(trace: list[Line]) -> Iterator[tuple[str, str]]:
    """Files that took their place before all of their content was on disk."""
    flushed: dict[str, list[int]] = {}
    for line in trace:
        if line["what"] == "flushed":
            flushed[line["about"]] = line["state"]
        elif line["what"] == "published" and line["target"] is not None:
            for file, state in line["files"].items():
                if flushed.get(file) != state:
                    yield "leftovers", f"{file} was renamed to {line['target']} before it was flushed"


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
