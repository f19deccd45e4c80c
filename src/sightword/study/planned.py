"""The plan of a study, before anything is paid for: runs, samples, FLOPs, hours and disk."""

from __future__ import annotations

import heapq
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sightword.errors import SightwordError
from sightword.planning.devices import Device
from sightword.planning.estimate import MFU
from sightword.planning.sizes import Sizes, measure
from sightword.study.arms import Arm
from sightword.study.design import Study
from sightword.study.grid import Cell, cells, flops_of, run_of, steps_of, trials
from sightword.study.timing import Speed
from sightword.study.work import Work, begun, finished
from sightword.training.records import read_records

LONG = 1.0  # hours of wall-clock above which a user is asked
Speeds = Mapping[tuple[str, Arm], Speed]


@dataclass(frozen=True)
class Row:
    """Runs of one model, part of the data, arm and budget, of all seeds.

    trial: whether they are trials of learning rates.
    samples, flops: of training, all runs together; `hours` are those that are left, of one run after another.
    """

    model: str
    size: int
    arm: str
    budget: str
    trial: bool
    runs: int = 0
    finished: int = 0
    begun: int = 0
    samples: int = 0
    flops: float = 0.0
    hours: float = 0.0

    @property
    def to_do(self) -> int:
        """Runs that have not begun."""
        return self.runs - self.finished - self.begun


@dataclass(frozen=True)
class Planned:
    """What a study takes that is not done yet.

    hours: of wall-clock, with `at_once` runs at a time.
    basis: how the hours were found.
    disk: bytes that will be written and stay, or lie there at the same time; `free` are there.
    """

    rows: tuple[Row, ...]
    at_once: int
    hours: float
    basis: str
    disk: int
    free: int

    @property
    def runs(self) -> int:
        """All of them."""
        return sum(row.runs for row in self.rows)

    @property
    def left(self) -> int:
        """Runs that are not finished."""
        return sum(row.begun + row.to_do for row in self.rows)

    def lines(self) -> Iterator[str]:
        """For people: a line for each model, size, arm and budget, and then what all of it takes."""
        head = ("model", "pairs", "objective", "budget", "runs", "done", "samples", "FLOPs", "hours")
        table = [head, *(_columns(row) for row in self.rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(head))]
        for row in table:
            cells = (
                c.ljust(w) if i in (0, 2, 3) else c.rjust(w)
                for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
            yield "  ".join(cells).rstrip()
        done, started = sum(row.finished for row in self.rows), sum(row.begun for row in self.rows)
        samples, flops = sum(row.samples for row in self.rows), sum(row.flops for row in self.rows)
        yield f"{self.runs} runs: {done} finished, {started} begun, {self.runs - done - started} to do"
        yield f"training: {samples:,} samples, {flops:.2e} FLOPs in all"
        yield f"left: {duration(self.hours)} with {self.at_once} at once, {self.basis}"
        yield f"disk: {self.disk / 1e9:,.2f} GB more, {self.free / 1e9:,.1f} GB are free"

    def record(self) -> dict[str, Any]:
        """One line of `plan.jsonl`; see docs/records.md."""
        own = {name: value for name, value in asdict(self).items() if name != "rows"}
        return {
            "kind": "study-plan",
            "runs": self.runs,
            "finished": sum(row.finished for row in self.rows),
            "begun": sum(row.begun for row in self.rows),
            "to_do": sum(row.to_do for row in self.rows),
            "samples": sum(row.samples for row in self.rows),
            "flops": sum(row.flops for row in self.rows),
            **own,
            "rows": [asdict(row) for row in self.rows],
        }


@dataclass(frozen=True)
class OnDevice:
    """Speeds of machines elsewhere, by what their makers say: FLOPs at a share of a GPU's peak."""

    device: Device
    mfu: float = MFU

    def speeds(self, study: Study) -> dict[tuple[str, Arm], Speed]:
        """Of each model and arm; scoring and starting are not counted."""
        rate = self.mfu * self.device.bf16_flops
        each = {(m, arm): flops_of(study, arm, m) / rate for m in study.models for arm in study.arms}
        return {(m, arm): Speed(m, arm.label, 0.0, took, 0.0, 0, 0) for (m, arm), took in each.items()}

    @property
    def basis(self) -> str:
        """For people."""
        peak = self.device.bf16_flops / 1e12
        return (
            f"not measured: {self.mfu:.0%} of {peak:,.0f} TFLOP/s of {self.device.name}, an assumption;"
            " starting and scoring are not in it"
        )


MEASURED = "measured here by the pilot"


def plan(
    study: Study, out: Path, work: Work, speeds: Speeds, basis: str, at_once: int, trial: Work | None = None
) -> Planned:
    """Plan what is left of a study.

    Args:
        study: its grid.
        out: its directory; what lies there already is not planned again.
        work: what a run is; its places and tasks decide whether one is finished.
        speeds: of each model and arm: `timing.measured`, or `OnDevice.speeds`.
        basis: how these were found, for people.
        at_once: runs at the same time.
        trial: what a trial of a learning rate is; None: as a run.

    Raises:
        SightwordError: records of a run there are spoilt, or an arm and a model do not fit.
    """
    rows, left = dict[tuple[Any, ...], Row](), list[tuple[Cell, float]]()
    for cell in (*trials(study), *cells(study)):
        row = _row(study, cell)
        key = (row.trial, row.model, row.size, row.arm, row.budget)
        own = (trial or work) if cell.lr else work
        hours = _hours_left(study, cell, out, own, speeds[cell.model, cell.arm])
        left += [(cell, hours)] if hours else []
        state = "finished" if not hours else "begun" if begun(out / cell.folder) else ""
        rows[key] = _more(rows.get(key, row), row, state, hours)
    wall = _makespan((hours for _, hours in left), at_once)
    need = _disk(study, out, [cell for cell, _ in left], speeds, at_once, work.keep)
    return Planned(tuple(rows.values()), at_once, wall, basis, need, shutil.disk_usage(_there(out)).free)


@runtime_checkable
class Costly(Protocol):
    """What takes hours, and bytes of a disk that has so many free."""

    @property
    def hours(self) -> float: ...
    @property
    def disk(self) -> int: ...
    @property
    def free(self) -> int: ...


def ask(planned: Costly, yes: bool, what: str = "study", less: str = "plan fewer runs") -> bool:
    """Whether to go on: what takes longer than an hour is asked for on a terminal.

    Args:
        planned: the plan.
        yes: `--yes`: whoever started it has agreed already.
        what: it is a plan of.
        less: what a user may do to pay less.

    Raises:
        SightwordError: the disk is too small, or there is nobody to ask.
    """
    if planned.disk > planned.free:
        raise SightwordError(
            f"the {what} needs {planned.disk / 1e9:,.2f} GB of disk, and {planned.free / 1e9:,.2f} GB are"
            f" free; make room, choose another --out, or {less}"
        )
    if yes or planned.hours <= LONG:
        return True
    if not sys.stdin.isatty():
        raise SightwordError(
            f"the {what} takes {duration(planned.hours)}, and there is no terminal to ask on; add --yes to"
            f" agree, or {less}"
        )
    try:
        answer = input(f"this takes {duration(planned.hours)}; go on? y/N ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def duration(hours: float) -> str:
    """Hours for people."""
    return f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:,.0f} minutes"


def _row(study: Study, cell: Cell) -> Row:
    samples = steps_of(study, cell) * study.base.global_batch
    flops = samples * flops_of(study, cell.arm, cell.model)
    return Row(cell.model, cell.size, cell.arm.name, cell.budget, bool(cell.lr), samples=samples, flops=flops)


def _more(sum: Row, one: Row, state: str, hours: float) -> Row:
    """A row and one run more."""
    first = sum.runs == 0
    return replace(
        sum,
        runs=sum.runs + 1,
        finished=sum.finished + (state == "finished"),
        begun=sum.begun + (state == "begun"),
        samples=one.samples if first else sum.samples + one.samples,
        flops=one.flops if first else sum.flops + one.flops,
        hours=sum.hours + hours,
    )


def _hours_left(study: Study, cell: Cell, out: Path, work: Work, speed: Speed) -> float:
    """0 for a finished run; one that has begun is paid for from its last record on."""
    folder = out / cell.folder
    if finished(folder, work):
        return 0.0
    steps = [r["step"] for r in read_records(folder / "metrics.jsonl") if r["kind"] == "step"]
    samples = (steps_of(study, cell) - max(steps, default=0)) * study.base.global_batch
    seconds = speed.setup_seconds + max(0, samples) * speed.sample_seconds + speed.score_seconds
    return max(seconds, 1.0) / 3600


def _makespan(hours: Iterable[float], at_once: int) -> float:
    """When the last run ends if each begins, in order, as soon as a slot is free."""
    slots = [0.0] * at_once
    for each in hours:
        heapq.heapreplace(slots, slots[0] + each)
    return max(slots)


def _disk(study: Study, out: Path, left: Sequence[Cell], speeds: Speeds, at_once: int, keep: bool) -> int:
    """Bytes: weights and scores of each run stay, checkpoints and features only while it goes on."""
    sizes = dict[tuple[str, Arm], Sizes]()
    stays, passing = 0, [0]
    for cell in left:
        which = cell.model, cell.arm
        config = run_of(study, cell, out, {})
        sizes[which] = sizes.get(which) or measure(config)
        checkpoints = sizes[which].checkpoint * (config.keep_last + 1)  # one more while it is written
        while_on = checkpoints + speeds[which].feature_bytes
        stays += sizes[which].published + speeds[which].score_bytes + (while_on if keep else 0)
        passing.append(0 if keep else while_on)
    return stays + sum(sorted(passing)[-at_once:])


def _there(out: Path) -> Path:
    return next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.exists())


def _columns(row: Row) -> tuple[str, ...]:
    what = f"{row.arm} (learning rates)" if row.trial else row.arm
    done = f"{row.finished}+{row.begun}" if row.begun else str(row.finished)
    return (
        row.model, f"{row.size:,}", what, row.budget, str(row.runs), done, f"{row.samples:,}",
        f"{row.flops:.1e}", f"{row.hours:.2f}",
    )  # fmt: skip
