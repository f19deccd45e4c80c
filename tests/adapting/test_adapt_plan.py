"""What an adaptation takes: measured once by a short pilot, and added up; nothing is trained by a plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_adaptation import Small, command

from sightword.adapting import asked, planned
from sightword.adapting.asked import Asked
from sightword.cli import main
from sightword.config import Config, ImageTowerConfig, load
from sightword.errors import SightwordError
from sightword.study.timing import Pilot

TOOK = {
    "setup_seconds": 100.0, "sample_seconds": 0.5, "look_seconds": 3.0, "score_seconds": 30.0,
    "score_bytes": 1000, "feature_bytes": 500,
}  # fmt: skip


@pytest.fixture
def run(small: Small) -> Config:
    return load(small.out / "run")


def records(out: Path, kind: str) -> list[dict[str, Any]]:
    lines = (out / "plan.jsonl").read_text().splitlines()
    return [one for line in lines if (one := json.loads(line))["kind"] == kind]


@pytest.mark.slow
def test_the_plan_measures_once_and_trains_nothing(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    out = small.folder / "planned"
    given = [one for one in command(small.folder, out) if one != "--yes"]
    main([*given, "--plan"])
    (pilot,) = records(out, "adapt-pilot")
    assert all(pilot[name] > 0 for name in TOOK)
    assert pilot["score_seconds"] > pilot["look_seconds"]  # the reference's pictures are counted, too
    (found,) = records(out, "adapt-plan")
    assert 0 < found["hours"] < 1
    assert not (out / "run").exists()
    assert not (out / "pilot").exists()
    monkeypatch.setattr(Pilot, "measure", None)
    main([*given, "--plan"])  # remembered
    assert [one["hours"] for one in records(out, "adapt-plan")] == [found["hours"]] * 2


def test_the_sum(run: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned, "_measured", lambda *some: TOOK)
    wanted = Asked("weights", run, 24, alphas=(0.0, 0.5, 1.0))
    run = replace(run, batch_size=16, ranks=1)
    found = planned.plan(wanted, run, 40, tmp_path, ["own", "squares"])
    looks, scored = 20, 3 + 4  # alphas, and two models on two kinds of sets
    assert found.hours == pytest.approx((100 + 40 * 16 * 0.5 + looks * 3 + scored * 30) / 3600)
    assert (found.steps, found.samples, found.alphas) == (40, 640, 3)
    untimed = planned.plan(wanted, run, 40, tmp_path, ["own", "squares"], timed=False)
    assert untimed.hours == 0
    assert not any(line.startswith("left") for line in untimed.lines())


def test_a_large_model_is_tried_in_small_batches_where_a_processor_computes(
    run: Config, tmp_path: Path
) -> None:
    large = ImageTowerConfig(kind="vit", size=224, width=768, layers=(12,), heads=12, patch_size=32)
    big = replace(run, model=replace(run.model, image=large), batch_size=256, accum_freq=4)
    tried = planned._pilot(big, tmp_path)
    assert 8 <= tried.batch_size < 32
    assert tried.accum_freq == 1
    assert planned._pilot(run, tmp_path).batch_size == run.batch_size


def test_a_plan_may_be_changed_until_training_begins(run: Config, tmp_path: Path) -> None:
    out = tmp_path / "some"
    wanted = Asked("weights", run, 24)
    asked.keep(wanted, [], out)
    for name in (asked.START, asked.HELD_OUT):
        (out / name).mkdir()
    asked.keep(wanted, [], out)
    assert (out / asked.START).exists()
    faster = replace(wanted, config=replace(run, optimizer=replace(run.optimizer, lr=0.5)))
    asked.keep(faster, [], out)
    assert not (out / asked.START).exists()
    assert (out / asked.HELD_OUT).exists()
    asked.keep(replace(faster, held_out=30), [], out)
    assert not (out / asked.HELD_OUT).exists()
    (out / asked.RUN).mkdir()
    with pytest.raises(SightwordError, match=r"another adaptation: .*optimizer\.lr was 0\.5"):
        asked.keep(replace(wanted, held_out=30), [], out)
