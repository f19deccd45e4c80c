"""A study from its plan to its page, carried out in this process: what it learns from, what it may become."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from small_studies import labelled, pairs, run
from tiny_runs import SIMCLR

from sightword.config import Config, load
from sightword.errors import SightwordError
from sightword.study import grid, keeping
from sightword.study import run as running
from sightword.study.design import Study
from sightword.study.launching.launcher import Failure, Launcher, Work
from sightword.study.run import Carrying, page_of, run_study
from sightword.training.records import read_records

MODEL = "tests-own"


@dataclass
class Here(Launcher):
    """One run after the other; stops before the run of this number, as a kill would."""

    stop: int = 10**6
    spoilt: str = "nothing"
    carried: int = 0

    def at_once(self, config: Config) -> int:
        return 1

    def run(self, work: Work, configs: Sequence[Config]) -> list[Failure]:
        failures = []
        for config in configs:
            if self.carried == self.stop:
                raise KeyboardInterrupt
            self.carried += 1
            if self.spoilt in config.out:
                failures.append(Failure(config.out, "the sky fell"))
            else:
                work(config)
        return failures


@pytest.fixture(autouse=True)
def small_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model of the tests' own, known by name; nothing in the user's cache."""
    model = run(tmp_path / "x", tmp_path).model
    monkeypatch.setattr(grid.models, "find", lambda name: replace(model, name=name))
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(running, "print", print, raising=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairs(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled(tmp_path_factory.mktemp("place") / "colours")


@pytest.fixture
def study(data: Path, place: Path) -> Study:
    base = run(Path("x"), data)
    return Study(
        objectives=f"clip; clip + {SIMCLR}",
        models=(MODEL,),
        sizes=(8, 16),
        seeds=(0, 1),
        epochs=2.0,
        on=(str(place),),
        tasks=("zeroshot",),
        base=replace(base, steps=0, epochs=0.0, batch_size=4, ranks=0),
    )


def carrying(study: Study, out: Path, launcher: Launcher | None = None) -> tuple[Carrying, list[str]]:
    said = list[str]()
    return Carrying(study, out, launcher or Here(), said.append), said


@pytest.mark.slow
def test_killed_anywhere_it_ends_with_the_same_page_and_repeats_nothing(study: Study, tmp_path: Path) -> None:
    study = replace(study, sizes=(8,))
    whole = carrying(study, tmp_path / "whole")[0]
    page = run_study(whole)
    assert len(list((tmp_path / "whole" / "runs").rglob("studied.json"))) == 6
    assert whole.launcher.carried == 6
    killed = carrying(study, tmp_path / "killed", Here(stop=3))[0]
    with pytest.raises(KeyboardInterrupt):
        run_study(killed)
    assert not (tmp_path / "killed" / "study.html").exists()
    again = carrying(study, tmp_path / "killed")[0]
    other = run_study(again)
    assert again.launcher.carried == 3
    assert page.read_text() == other.read_text()
    for name in ("gains.csv", "points.csv", "laws.csv", "crossovers.csv", "findings.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name


def test_arms_are_paired_and_budgets_are_kept(study: Study, tmp_path: Path) -> None:
    run_study(carrying(study, tmp_path / "out")[0])
    for seed in study.seeds:
        parts = {}
        for size in study.sizes:
            folder = tmp_path / "out" / "runs" / MODEL / str(size) / f"seed{seed}"
            starts = {arm.name: starts_of(arm) for arm in folder.iterdir()}
            assert len(starts) == 3
            assert len({start["data_hash"] for start in starts.values()}) == 1
            same = [start for name, start in starts.items() if "@" not in name]
            assert len({start["steps_total"] for start in same}) == 1
            first, dear = starts["clip"], next(s for name, s in starts.items() if "@" in name)
            spent = [start["steps_total"] * start["flops_per_step"] for start in (first, dear)]
            assert spent[1] == pytest.approx(spent[0], abs=dear["flops_per_step"])
            assert dear["steps_total"] < first["steps_total"]
            parts[size] = first["data_hash"]
        assert parts[8] != parts[16]
    points = (tmp_path / "out" / "points.csv").read_text().splitlines()
    assert len(points) == 1 + 2 * 2 * 2 * 2  # sizes, seeds, arms, budgets


def starts_of(run: Path) -> dict[str, object]:
    return next(r for r in read_records(run / "metrics.jsonl") if r["kind"] == "start")


def test_it_may_grow_and_may_not_change(study: Study, tmp_path: Path) -> None:
    study = replace(study, sizes=(8,), seeds=(0,))
    run_study(carrying(study, tmp_path / "out")[0])
    grown = carrying(replace(study, seeds=(0, 1)), tmp_path / "out")[0]
    run_study(grown)
    assert grown.launcher.carried == 3
    assert keeping.read(tmp_path / "out").seeds == (0, 1)
    for changed, said in (
        (replace(study, epochs=3.0), "epochs was 2.0, now 3.0"),
        (replace(study, objectives=f"{SIMCLR}; clip"), "the first objective was 'clip'"),
        (replace(study, base=replace(study.base, batch_size=2)), "batch_size was 4, now 2"),
    ):
        with pytest.raises(SightwordError, match=said):
            run_study(carrying(changed, tmp_path / "out")[0])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(SightwordError, match="is not empty and holds no study"):
        run_study(carrying(study, tmp_path / "full")[0])


def test_a_failed_run_is_named_and_the_page_is_made_of_the_others(study: Study, tmp_path: Path) -> None:
    study = replace(study, sizes=(8,))
    spoilt, _ = carrying(study, tmp_path / "out", Here(spoilt="8/seed1/clip+simclr"))
    with pytest.raises(SightwordError, match=r"2 runs failed.*the sky fell.*tries those again"):
        run_study(spoilt)
    page = (tmp_path / "out" / "study.html").read_text()
    assert "the sky fell" in page
    healed = carrying(study, tmp_path / "out")[0]
    run_study(healed)
    assert healed.launcher.carried == 2
    assert "the sky fell" not in (tmp_path / "out" / "study.html").read_text()


def test_learning_rates_are_tried_alike_on_validation_pairs(study: Study, tmp_path: Path) -> None:
    swept = replace(study, lrs=(1e-4, 1e-3), held_out=8, on=(), tasks=("retrieval",), sizes=(8,), seeds=(0,))
    carried, said = carrying(swept, tmp_path / "out")
    run_study(carried)
    trials = sorted((tmp_path / "out" / "trials").rglob("config.toml"))
    assert len(trials) == 4
    scores = {
        str(path.parent.relative_to(tmp_path / "out" / "trials" / MODEL)): json.loads(line)["value"]
        for path in trials
        for line in (path.parent / "scores.jsonl").read_text().splitlines()
        if json.loads(line)["headline"]
    }
    for arm in swept.arms:
        own = {lr: scores[f"{arm.folder}/lr{lr:g}"] for lr in swept.lrs}
        best = max(own, key=lambda lr: (own[lr], -lr))
        config = load(tmp_path / "out" / "runs" / MODEL / "8" / "seed0" / arm.folder)
        assert config.optimizer.lr == best
        assert config.data.held_out == 8
    assert any("did best with the" in line for line in said)
    assert page_of(carrying(swept, tmp_path / "out")[0]).is_file()


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ("clip; clip + foo", "unknown objective 'foo'"),
        ("clip; clip {optimizer.speed=1}", "unknown setting"),
        ("clip; simclr {lr=fast}", "must be float, found 'fast'"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_written(
    study: Study, tmp_path: Path, objectives: str, said: str
) -> None:
    with pytest.raises(SightwordError, match=said):
        run_study(carrying(replace(study, objectives=objectives), tmp_path / "out")[0])
    assert not (tmp_path / "out").exists()


def test_nothing_is_finished(study: Study, tmp_path: Path) -> None:
    keeping.keep(study, tmp_path / "out")
    with pytest.raises(SightwordError, match="no run of the study"):
        page_of(carrying(study, tmp_path / "out")[0])
