"""Records read back: torn ends are survived, damage is told, labels differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic_runs import write_records

from sightword.errors import SightwordError
from sightword.report.records import Measure, read_runs

SCORE = {
    "dataset": "d",
    "split": "s",
    "task": "zeroshot",
    "metric": "acc1",
    "value": 0.5,
    "low": 0.4,
    "high": 0.6,
    "n": 9,
}


def write_scores(run: Path, *scores: dict[str, object]) -> None:
    (run / "scores.jsonl").write_text("".join(json.dumps(SCORE | score) + "\n" for score in scores))


def test_reads_what_was_written(tmp_path: Path) -> None:
    write_records(tmp_path / "a", "clip + simclr", 50, 1e11)
    (run,) = read_runs([tmp_path / "a"])
    assert (run.objective, run.terms, run.samples, run.flops, run.parameters) == (
        "clip + simclr", 2, 3200, 5e12, 1_234_567,
    )  # fmt: skip
    assert [step["step"] for step in run.steps] == [10, 20, 30, 40, 50]
    assert run.minutes == pytest.approx(50 * 0.3 / 60)


def test_minutes_are_those_of_the_steps_wherever_a_run_was_cut(tmp_path: Path) -> None:
    write_records(tmp_path / "a", "clip", 50, 1e11)
    file = tmp_path / "a" / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[-1]["seconds"] = 1.0  # of the last session alone
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_runs([tmp_path / "a"])[0].minutes == pytest.approx(0.25)


def test_a_repeated_step_counts_once_and_the_later_record_holds(tmp_path: Path) -> None:
    write_records(tmp_path / "a", "clip", 30, 1e11)
    file = tmp_path / "a" / "metrics.jsonl"
    again = json.loads(file.read_text().splitlines()[2]) | {"loss": 99.0}
    file.write_text(file.read_text() + json.dumps(again) + "\n")
    (run,) = read_runs([tmp_path / "a"])
    assert [(step["step"], step["loss"] == 99.0) for step in run.steps] == [
        (10, False),
        (20, True),
        (30, False),
    ]


def test_a_last_line_cut_short_is_dropped_but_damage_inside_is_told(tmp_path: Path) -> None:
    write_records(tmp_path / "a", "clip", 30, 1e11)
    file = tmp_path / "a" / "metrics.jsonl"
    whole = file.read_text()
    file.write_text(whole + '{"kind": "step", "st')
    assert len(read_runs([tmp_path / "a"])[0].steps) == 3
    file.write_text('{"kind"\n' + whole)
    with pytest.raises(SightwordError, match=r"metrics.jsonl line 1 is not JSON"):
        read_runs([tmp_path / "a"])


def test_final_scores_are_those_of_the_latest_weights(tmp_path: Path) -> None:
    write_records(tmp_path / "a", "clip", 30, 1e11)
    write_scores(
        tmp_path / "a", {"step": 30, "value": 0.5}, {"step": 10, "value": 0.2}, {"step": 30, "value": 0.51}
    )
    (run,) = read_runs([tmp_path / "a"])
    assert run.final[Measure("d", "s", "zeroshot", "acc1")].value == 0.51


def test_scores_of_earlier_weights_are_noticed(tmp_path: Path) -> None:
    write_records(tmp_path / "a", "clip", 30, 1e11)
    write_scores(tmp_path / "a", {"step": 30}, {"step": 20, "metric": "acc5"})
    assert read_runs([tmp_path / "a"])[0].is_behind
    write_scores(tmp_path / "a", {"step": 30}, {"step": 20}, {"step": 30, "metric": "acc5"})
    assert not read_runs([tmp_path / "a"])[0].is_behind


def test_a_score_without_its_value_is_told(tmp_path: Path) -> None:
    write_records(tmp_path / "a", "clip", 30, 1e11)
    write_scores(tmp_path / "a", {"value": None})
    with pytest.raises(SightwordError, match=r"scores.jsonl holds a score without"):
        read_runs([tmp_path / "a"])


def test_labels_tell_runs_apart(tmp_path: Path) -> None:
    for place, objective in (
        ("x/clip", "clip"),
        ("x/slip", "clip + simclr"),
        ("x/long", "clip"),
        ("y/clip", "clip"),
    ):
        write_records(tmp_path / place, objective, 10, 1e11)

    def labels(*places: str) -> list[str]:
        return [run.label for run in read_runs([tmp_path / place for place in places])]

    assert labels("x/clip", "x/slip") == ["clip", "clip + simclr"]
    assert labels("x/clip", "x/slip", "x/long") == ["clip", "clip + simclr", "long"]
    assert labels("x/clip", "y/clip") == [str(tmp_path / "x/clip"), str(tmp_path / "y/clip")]
    assert labels("x/clip", "x/clip") == ["clip"]
