"""The plan: what is left to do and what it takes, counted by hand; and who is asked before it begins."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_studies import run
from tiny_runs import MAE, SIMCLR

from sightword.errors import SightwordError
from sightword.planning import devices
from sightword.planning.sizes import measure
from sightword.study import planned as room
from sightword.study.design import Study
from sightword.study.grid import Cell, cells, flops_of, run_of, steps_of
from sightword.study.planned import MEASURED, OnDevice, Planned, ask, plan
from sightword.study.timing import Speed
from sightword.study.work import Work

WORK = Work(("place",), ("knn",))


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Models of any name are the smallest one."""
    model = run(tmp_path, tmp_path).model
    monkeypatch.setattr("sightword.recipes.models.find", lambda name: replace(model, name=name))


def study(tmp_path: Path, **changes: Any) -> Study:
    base = run(tmp_path, tmp_path / "pairs.tar", steps=0)
    made = Study(
        f"clip; clip + {SIMCLR}", ("small",), (16, 32), seeds=(0, 1), epochs=2.0, on=("p",), base=base
    )
    return replace(made, **changes)


def speeds(some: Study, **changes: float) -> dict[Any, Speed]:
    """Ten seconds to begin, a tenth for a sample, five to score."""
    each = Speed("small", "", 10.0, 0.1, 5.0, 1000, 5000)
    return {(m, arm): replace(each, **changes) for m in some.models for arm in some.arms}


def steps_done(out: Path, steps: int) -> None:
    """Stands for a run that has done so many steps."""
    out.mkdir(parents=True)
    (out / "config.toml").write_text("")
    line = json.dumps({"kind": "step", "step": steps})
    (out / "metrics.jsonl").write_text(line + "\n")


def test_what_is_left_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = study(tmp_path, budgets=("samples",))
    done, going = (Cell("small", 32, 0, arm, "samples") for arm in some.arms)
    steps_done(tmp_path / going.folder, 5)
    monkeypatch.setattr(room, "finished", lambda out, work: out == tmp_path / done.folder and work == WORK)
    made = plan(some, tmp_path, WORK, speeds(some), MEASURED, 1)
    assert (made.runs, made.left) == (8, 7)
    assert {(r.size, r.arm): (r.runs, r.finished, r.begun, r.to_do) for r in made.rows} == {
        (16, "clip"): (2, 0, 0, 2), (16, some.arms[1].name): (2, 0, 0, 2),
        (32, "clip"): (2, 1, 0, 1), (32, some.arms[1].name): (2, 0, 1, 1),
    }  # fmt: skip
    # Sixteen pairs twice are 4 steps of 8; of 8 steps of 32 pairs 5 are done once.
    seconds = 4 * (10 + 3.2 + 5) + 2 * (10 + 6.4 + 5) + (10 + 2.4 + 5)
    assert made.hours == pytest.approx(seconds / 3600)
    assert sum(row.hours for row in made.rows) == pytest.approx(seconds / 3600)
    record = made.record()
    assert (record["finished"], record["begun"], record["to_do"]) == (1, 1, 6)
    assert record["samples"] == 4 * 32 + 4 * 64
    each = [flops_of(some, arm, "small") for arm in some.arms]
    assert record["flops"] == pytest.approx((2 * 32 + 2 * 64) * sum(each))
    assert json.loads(json.dumps(record)) == record


def test_a_finished_study_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = study(tmp_path)
    monkeypatch.setattr(room, "finished", lambda out, work: True)
    made = plan(some, tmp_path, WORK, speeds(some), MEASURED, 4)
    assert (made.left, made.hours, made.disk) == (0, 0.0, 0)
    assert "12 runs: 12 finished, 0 begun, 0 to do" in list(made.lines())


def test_slots_are_filled_in_order(tmp_path: Path) -> None:
    """Against a simulation second by second."""
    some = study(tmp_path, objectives=f"clip; clip + {SIMCLR}; clip + {MAE}")
    own = speeds(some, sample_seconds=1.0)
    lasts = [
        math.ceil(15 + steps_of(some, cell) * 8)
        for cell in cells(some)
    ]  # fmt: skip
    running, waiting, seconds = list[int](), list(lasts), 0
    while running or waiting:
        while waiting and len(running) < 3:
            running.append(waiting.pop(0))
        running = [left - 1 for left in running if left > 1]
        seconds += 1
    made = plan(some, tmp_path, WORK, own, MEASURED, 3)
    assert made.hours == pytest.approx(seconds / 3600)


def test_trials_are_runs_of_their_own(tmp_path: Path) -> None:
    some = study(tmp_path, lrs=(1e-3, 3e-3, 1e-2), held_out=8)
    made = plan(some, tmp_path, WORK, speeds(some), MEASURED, 2)
    own = [row for row in made.rows if row.trial]
    assert [(row.size, row.runs) for row in own] == [(16, 3), (16, 3)]
    assert sum("learning rates" in line for line in made.lines()) == 2


def test_trials_are_finished_by_what_trials_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = study(tmp_path, lrs=(1e-3, 1e-2), held_out=8)
    monkeypatch.setattr(room, "finished", lambda out, work: work.tasks == ("retrieval",))
    trial = Work(("validation",), ("retrieval",))
    made = plan(some, tmp_path, WORK, speeds(some), MEASURED, 2, trial)
    assert {(row.trial, row.finished == row.runs) for row in made.rows} == {(True, True), (False, False)}


def test_disk_is_what_stays_and_what_lies_there_at_once(tmp_path: Path) -> None:
    some = study(tmp_path, budgets=("samples",), sizes=(16,))
    all_cells = list(cells(some))
    sizes = [measure(run_of(some, cell, tmp_path, {})) for cell in all_cells]
    largest = max(size.checkpoint for size in sizes)
    stays = sum(size.published + 1000 for size in sizes)
    made = plan(some, tmp_path, WORK, speeds(some), MEASURED, 2)
    assert made.disk == stays + 2 * (3 * largest + 5000)
    kept = plan(some, tmp_path, replace(WORK, keep=True), speeds(some), MEASURED, 2)
    assert kept.disk == stays + sum(3 * size.checkpoint + 5000 for size in sizes)


def test_hours_elsewhere_are_by_the_table_and_said_to_be(tmp_path: Path) -> None:
    some = study(tmp_path, budgets=("samples",))
    on = OnDevice(devices.find("a100"), 0.4)
    made = plan(some, tmp_path, WORK, on.speeds(some), on.basis, 1)
    assert "not measured: 40% of 312 TFLOP/s of a100, an assumption" in "".join(made.lines())
    slow = OnDevice(devices.find("mine", 8, 1e-6), 0.5)  # half a million FLOPs a second
    made = plan(some, tmp_path, WORK, slow.speeds(some), slow.basis, 1)
    flops = sum(steps_of(some, c) * 8 * flops_of(some, c.arm, c.model) for c in cells(some))
    assert made.hours == pytest.approx(flops / 0.5e6 / 3600)


def planned(hours: float = 0.5, disk: int = 1, free: int = 10) -> Planned:
    return Planned((), 2, hours, MEASURED, disk, free)


def test_short_studies_begin_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda said: pytest.fail("it asked"))
    assert ask(planned(1.0), yes=False)
    assert ask(planned(99.0), yes=True)


@pytest.mark.parametrize(("answer", "goes"), [("y", True), ("Yes ", True), ("", False), ("n", False)])
def test_long_ones_are_asked_for(monkeypatch: pytest.MonkeyPatch, answer: str, goes: bool) -> None:
    said = list[str]()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: said.append(text) or answer)
    assert ask(planned(5.25), yes=False) is goes
    assert said == ["this takes 5.2 hours; go on? y/N "]


def test_without_a_terminal_it_says_how_to_agree() -> None:
    with pytest.raises(SightwordError, match=r"takes 5\.2 hours, and there is no terminal.*add --yes"):
        ask(planned(5.25), yes=False)


def test_a_full_disk_is_refused_whoever_agrees() -> None:
    with pytest.raises(SightwordError, match=r"needs 3\.00 GB of disk, and 2\.00 GB are free; make room"):
        ask(planned(disk=3_000_000_000, free=2_000_000_000), yes=True)
