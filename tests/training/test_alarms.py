"""Warnings: raised by what lasts, once, in one line; silent about runs that are well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import SIMCLR, stop_at, tiny

from sightword.config import Config, OptimizerConfig
from sightword.training.alarms import SIGNS, Alarm, Alarms, _with_the_sum
from sightword.training.input import REMEDIES
from sightword.training.loop import resume_training, train
from sightword.training.records import read_records


def record(step: int, spread: float = 0.6, rank: float = 40.0, capped: bool = False, **terms: Any) -> dict:
    return {
        "kind": "step",
        "step": step,
        "features": {"spread": spread, "effective_rank": rank, "rank_most": 128},
        "logit_scale": 100.0 if capped else 20.0,
        "logit_scale_at_most": capped,
        **terms,
    }


def gradients(cosine: float, norms: Sequence[float] = (1, 1), weights: Sequence[float] = (1, 1)) -> dict:
    """What a record says of the gradients of `clip` and `mae`."""
    rows = zip(("clip", "mae"), norms, weights, strict=True)
    terms = {name: {"loss": 1.0, "weight": weight, "grad_norm": norm} for name, norm, weight in rows}
    return {"terms": terms, "grad_cosines": {"clip": {"mae": cosine}}}


def raised(records: Sequence[dict], warmup: float = 0.0) -> list[Alarm]:
    alarms = Alarms(warmup)
    return [alarm for one in records for alarm in alarms.hear(one)]


def told(records: Sequence[dict], warmup: float = 0.0) -> list[tuple[str, int]]:
    return [(alarm.sign, alarm.since) for alarm in raised(records, warmup)]


STEPS = range(10, 300, 10)


def test_a_run_that_is_well_is_left_alone() -> None:
    luck = np.random.default_rng(0)
    records = [record(s, spread=luck.uniform(0.2, 1), **gradients(luck.normal(0, 0.05))) for s in STEPS]
    assert told(records) == []


@pytest.mark.parametrize("bad", [{"spread": 0.019}, {"rank": 1.09}])
def test_collapse_is_told_at_the_third_record_and_once(bad: dict) -> None:
    records = [record(s, **(bad if s >= 100 else {})) for s in STEPS]
    assert told(records[:11]) == []
    (alarm,) = raised(records[:12])
    assert (alarm.sign, alarm.since) == ("collapse", 100)
    assert [one for one in raised(records) if one.sign == "collapse"] == [alarm]


@pytest.mark.parametrize("bad", [{"spread": 0.09}, {"rank": 1.4}])
def test_features_that_lie_narrowly_are_told_when_they_stay_so(bad: dict) -> None:
    assert told([record(s, **(bad if 30 <= s < 230 else {})) for s in STEPS]) == []
    assert told([record(s, **(bad if 30 <= s <= 230 else {})) for s in STEPS]) == [("narrow", 30)]
    assert told([record(10 * s, **bad) for s in STEPS[:9]]) == []
    assert told([record(10 * s, **bad) for s in STEPS[:10]]) == [("narrow", 100)]


def test_a_sign_must_last_twenty_steps_however_often_is_recorded() -> None:
    assert told([record(s, spread=0.01) for s in range(1, 21)]) == []
    assert told([record(s, spread=0.01) for s in range(1, 22)]) == [("collapse", 1)]


def test_one_good_record_starts_the_count_anew_and_a_second_collapse_is_told_again() -> None:
    dips = [record(s, spread=0.6 if s % 30 == 0 else 0.01) for s in STEPS]
    assert told(dips) == []
    twice = [record(s, spread=0.6 if s == 150 else 0.01) for s in STEPS[:20]]
    assert told(twice) == [("collapse", 10), ("collapse", 160)]


def test_warm_up_does_not_count() -> None:
    records = [record(s, spread=0.01) for s in STEPS]
    assert told(records[:20], warmup=100.0) == [("collapse", 110)]
    assert told(records, warmup=280.0) == []


def test_what_was_not_measured_neither_counts_nor_clears() -> None:
    """Gradients are measured in every fifth record; a number that is not finite is null."""
    sparse = [record(s, **(gradients(-0.9, (3, 1)) if s % 50 == 0 else {})) for s in STEPS]
    assert told(sparse) == [("conflict", 50)]
    for gap in (None, float("nan")):
        holes = [record(s, spread=0.01 if s % 20 == 0 else gap) for s in STEPS]
        assert told(holes[:20]) == [("collapse", 20)]


def test_the_cap_is_told_after_ten_records() -> None:
    records = [record(s, capped=s >= 50) for s in STEPS]
    assert told(records[:13]) == []
    assert told(records) == [("logit-scale", 50)]


def test_a_term_that_the_sum_raises_is_named_with_its_cosine() -> None:
    (alarm,) = raised([record(s, **gradients(-0.6, norms=(2, 1))) for s in STEPS])
    assert (alarm.sign, alarm.since) == ("conflict", 10)
    assert "raises mae: cosine -0.12 " in alarm.said  # (1 - 1.2) / sqrt(4 + 1 - 2.4)


def test_a_conflict_that_the_weights_settle_is_none() -> None:
    """Each gradient opposes the other by 0.6, and yet the sum lowers both."""
    assert told([record(s, **gradients(-0.6)) for s in STEPS]) == []
    assert told([record(s, **gradients(-0.6, norms=(2, 1), weights=(1, 2))) for s in STEPS]) == []


def test_the_cosine_with_the_sum_is_that_of_the_vectors() -> None:
    luck = np.random.default_rng(1)
    names, weights = ["a", "b", "c"], [1.0, 0.5, 2.0]
    vectors = luck.normal(size=(3, 5))
    norms = np.linalg.norm(vectors, axis=1)
    units = vectors / norms[:, None]
    total = np.asarray(weights) @ vectors
    found = _with_the_sum(
        {
            "terms": {
                n: {"weight": w, "grad_norm": float(g)} for n, w, g in zip(names, weights, norms, strict=True)
            },
            "grad_cosines": {
                names[i]: {names[j]: float(units[i] @ units[j]) for j in range(i + 1, 3)} for i in range(2)
            },
        }
    )
    expected = units @ total / np.linalg.norm(total)
    assert found == pytest.approx(dict(zip(names, expected.tolist(), strict=True)))


def test_a_term_that_hardly_pulls_is_named() -> None:
    (alarm,) = raised([record(s, **gradients(0.0, norms=(4, 0.1), weights=(1, 0.3))) for s in STEPS])
    assert (alarm.sign, alarm.since) == ("faint", 10)
    assert alarm.said.startswith("mae hardly moves the image tower: its weighted gradient is 0.0075 of")


def test_a_term_that_never_reaches_the_tower_is_not_faint() -> None:
    assert told([record(s, **gradients(float("nan"), norms=(4, 0))) for s in STEPS]) == []


def test_every_line_says_what_since_when_and_what_to_try() -> None:
    bad = {"spread": 0.01, "rank": 1.2, "capped": True} | gradients(-1.0, norms=(1, 0.005))
    alarms = raised([record(s, **bad) for s in STEPS])
    for stage in REMEDIES:  # one at a time is the slowest
        making = dict.fromkeys(REMEDIES, 0.1) | {stage: 0.4}
        alarms += raised([record(s, data_wait=0.5, data_seconds=making) for s in STEPS])
    assert {alarm.sign for alarm in alarms} == {sign.name for sign in SIGNS}
    for alarm in alarms:
        assert "\n" not in alarm.said
        assert "since step 10;" in alarm.said
        assert "try " in alarm.said


def collapsing(out: Path, data: Path, **changes: Any) -> Config:
    """Views attract each other and nothing parts pictures."""
    optimizer = OptimizerConfig(lr=3e-3, wd=0.0, warmup=0.1)
    return tiny(out, data, "attraction", optimizer=optimizer, steps=40, **changes)


def test_a_collapse_is_told_and_written_down_and_a_resumed_run_neither_forgets_nor_repeats_it(
    tmp_path: Path, data: Path, throwaway: Path
) -> None:
    said: list[str] = []
    whole = train(collapsing(tmp_path / "whole", data), say=said.append)
    (warning,) = warnings(whole)
    assert warning["sign"] == "collapse"
    assert 4 < warning["since"] <= warning["step"] - 20
    told = [line for line in said if "waits for data" not in line]  # that is a matter of the machine
    assert told == [f"warning: {warning['said']}"]
    steps = [r for r in read_records(whole / "metrics.jsonl") if r["kind"] == "step"]
    assert steps[0]["features"]["spread"] > 0.1 > 2 * steps[-1]["features"]["spread"]
    assert f"spread {steps[warning['step'] - 1]['features']['spread']:.2g} of 1" in warning["said"]
    for stop in (warning["step"] - 3, warning["step"] + 2):
        config = collapsing(tmp_path / str(stop), data, zeroshot_frequency=1)
        out = train(config, stop_at(stop), lambda line: None)
        assert len(warnings(out)) == (stop > warning["step"])
        resume_training(out, say=lambda line: None)
        (found,) = warnings(out)
        assert {**found, "time": 0} == {**warning, "time": 0}


def test_terms_that_oppose_each_other_are_told(tmp_path: Path, data: Path, throwaway: Path) -> None:
    objective = "attraction + 0.5 * attraction(pull=-1)"
    config = tiny(tmp_path / "run", data, objective, steps=26, optimizer=OptimizerConfig(lr=1e-5, warmup=0.0))
    found = warnings(train(config, say=lambda line: None))
    (conflict,) = (w["said"] for w in found if w["sign"] == "conflict")
    assert conflict.startswith("what lowers the weighted sum raises attraction-2: cosine -1.00 of")


def test_a_weight_that_is_too_small_is_told(tmp_path: Path, data: Path, throwaway: Path) -> None:
    objective, optimizer = f"{SIMCLR} + 1e-5 * attraction", OptimizerConfig(lr=1e-5, warmup=0.0)
    config = tiny(tmp_path / "run", data, objective, steps=26, optimizer=optimizer)
    (faint,) = (w for w in warnings(train(config, say=lambda line: None)) if w["sign"] == "faint")
    assert faint["said"].startswith("attraction hardly moves")


def test_meters_change_no_bit_of_a_run(tmp_path: Path, data: Path) -> None:
    """Recorded at each step, and at the first and last alone."""
    weights = []
    for every in (1, 1000):
        config = tiny(tmp_path / str(every), data, f"clip + {SIMCLR}", log_every=every, steps=6)
        out = train(config, say=lambda line: None)
        weights.append((out / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def warnings(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(a["step"] <= b["step"] for a, b in pairwise(lines))
    told = [line for line in lines if line["kind"] == "warning"]
    return [line for line in told if not line["sign"].startswith("input-")]  # a matter of the machine
