"""The pilot: real steps, as many processes as will run, measured once and then remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_studies import labelled, pairs, run
from tiny_runs import MAE, SIMCLR

from sightword.errors import SightwordError
from sightword.study import timing
from sightword.study.design import Study
from sightword.study.grid import flops_of
from sightword.study.launching.local import Local
from sightword.study.timing import FILE, Pilot, Speed, measured
from sightword.study.work import Work
from sightword.training.records import read_records


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The smallest model under any name, and a moment for each pilot."""
    model = run(tmp_path, tmp_path).model
    monkeypatch.setattr("sightword.recipes.models.find", lambda name: replace(model, name=name))
    monkeypatch.setattr(timing, "_ALL", 0.0)
    monkeypatch.setattr(timing, "_SHORTEST", 0.2)


def study(data: Path, **changes: Any) -> Study:
    base = run(data.parent / "none", data, steps=0)
    made = Study(f"clip; clip + {SIMCLR}", ("small",), (16, 32), seeds=(0,), epochs=2.0, on=("p",), base=base)
    return replace(made, **changes)


@pytest.mark.slow
def test_real_steps_are_measured_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some, place = study(pairs(tmp_path)), labelled(tmp_path / "colours")
    out, work = tmp_path / "out", Work((str(place),), ("knn",))
    out.mkdir()
    found = measured(some, out, Local(slots=2), work)
    assert list(found) == [("small", arm) for arm in some.arms]
    first, second = found.values()
    for one in (first, second):
        assert 0 < one.setup_seconds < 300
        assert 0 < one.sample_seconds < 10
    assert first.score_seconds == second.score_seconds > 0
    assert min(first.score_bytes, first.feature_bytes) > 0
    assert not list((out / "pilot").rglob("*.*")), "its runs are gone"
    records = read_records(out / FILE)
    assert [record["arm"] for record in records] == [arm.label for arm in some.arms]
    assert {(record["at_once"], record["threads"]) for record in records} == {(2, 1)}
    assert all(record["processor"] and record["code_version"] for record in records)
    monkeypatch.setattr(Pilot, "measure", lambda self: pytest.fail("it measured again"))
    assert measured(some, out, Local(slots=2), work) == found
    with pytest.raises(BaseException, match="measured again"):
        measured(some, out, Local(slots=3), work)


def test_a_pilot_that_fails_says_why(tmp_path: Path) -> None:
    some = study(pairs(tmp_path))
    broken = replace(
        some, base=replace(some.base, data=replace(some.base.data, path=str(tmp_path / "no.tar")))
    )
    with pytest.raises(SightwordError, match=r"the pilot of 'clip' failed: sightword: .*no\.tar"):
        measured(broken, tmp_path, Local(slots=1), Work((), ()))


def test_terms_that_begin_late_count_for_their_share(tmp_path: Path) -> None:
    some = study(tmp_path / "x.tar", objectives=f"clip; clip + {MAE}; clip + {MAE}@75%")
    speed = Speed("small", "", 1.0, 8.0, 1.0, 0, 0)
    clip, whole, late = (timing._late(some, "small", arm, speed).sample_seconds for arm in some.arms)
    assert clip == whole == 8.0
    costs = [flops_of(some, arm, "small") for arm in some.arms]
    assert late == pytest.approx(8.0 * (0.75 * costs[0] + 0.25 * costs[1]) / costs[1])
