"""The paired difference in mIoU against all resamples and all swaps of a few pictures, and by the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from masked_folders import write_generic
from test_segmentation import model_of
from tiny_runs import VIT

from sightword.cli import main
from sightword.evaluation.overlap import Overlap, counted, gained
from sightword.evaluation.run import evaluate
from sightword.evaluation.segmentation import Drawn
from sightword.evaluation.tasks import TASKS

CLASSES = 4
Picture = tuple[np.ndarray, np.ndarray]  # what is said of each pixel, and what is true


def answers(seed: int, pictures: int, right: float) -> list[Picture]:
    generator, truth = np.random.default_rng(seed), np.random.default_rng(9)
    true = [truth.integers(-1, CLASSES, truth.integers(3, 9, 2)) for _ in range(pictures)]
    said = [
        np.where(generator.random(t.shape) < right, t, generator.integers(0, CLASSES, t.shape)) for t in true
    ]
    return [(s.clip(0), t) for s, t in zip(said, true, strict=True)]


def overlap(of: Sequence[Picture]) -> Overlap:
    return Overlap(*np.stack([counted(said, true, CLASSES) for said, true in of], axis=1))


def miou(of: Sequence[Picture]) -> float:
    """Of pixels laid end to end, class by class."""
    said, true = (np.concatenate([one[side][one[1] >= 0] for one in of]) for side in (0, 1))
    shares = [
        np.sum((said == c) & (true == c)) / np.sum((said == c) | (true == c))
        for c in range(CLASSES)
        if np.any((said == c) | (true == c))
    ]
    return float(np.mean(shares))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_against_all_resamples_and_all_swaps(seed: int) -> None:
    first, second = answers(seed, 5, 0.4), answers(seed + 50, 5, 0.7)
    found = gained(overlap(first), overlap(second))
    value = miou(second) - miou(first)
    assert (found.first, found.second) == pytest.approx((miou(first), miou(second)))
    assert found.difference.value == pytest.approx(value)
    drawn = [
        miou([second[i] for i in which]) - miou([first[i] for i in which])
        for which in product(range(5), repeat=5)
    ]
    assert found.error == pytest.approx(np.std(drawn), rel=0.08)
    spread = np.std(drawn)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.difference.low == pytest.approx(low, abs=0.25 * spread)
    assert found.difference.high == pytest.approx(high, abs=0.25 * spread)
    swapped = []
    for swaps in product([False, True], repeat=5):
        one, other = (
            [b if swap else a for a, b, swap in zip(mine, its, swaps, strict=True)]
            for mine, its in ((first, second), (second, first))
        )
        swapped.append(miou(other) - miou(one))
    exact = np.mean(np.abs(swapped) >= abs(value) - 1e-12)
    assert found.p == pytest.approx(exact, abs=0.02)


def test_alike_is_no_difference_and_always_better_is_one() -> None:
    same = overlap(answers(0, 12, 0.5))
    found = gained(same, same)
    assert (found.difference.value, found.difference.low, found.difference.high, found.p) == (0, 0, 0, 1)
    better = gained(same, overlap(answers(0, 12, 1.0)))
    assert better.p < 0.002
    assert better.difference.low > 0
    assert better.second == 1.0


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two models on the same pictures: one sees, the other was set to zero but for a few weights."""
    task = next(task for task in TASKS if task.name == "segmentation")
    monkeypatch.setattr(task, "settings", Drawn(each=20))
    where = str(write_generic(tmp_path / "shapes", {"train": 20, "test": 12}))
    good, poor = model_of(VIT), model_of(VIT)
    poor.weights_hash = "other"
    for parameter in poor.encoders.towers["image"].stem.parameters():
        parameter.data.mul_(0.02)
    for name, model in (("poor", poor), ("good", good)):
        evaluate(model, tmp_path / name, [where], ["segmentation"])
    return tmp_path / "poor", tmp_path / "good"


def test_by_the_command(runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "compared.jsonl"
    main(["compare", *map(str, runs), "--out", str(out)])
    said = capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    found = {row["metric"]: row for row in rows if row["task"] == "segmentation"}
    assert set(found) == {"miou", "pixel_accuracy", "picture_miou"}
    assert [name for name, row in found.items() if row["headline"]] == ["miou"]
    tables = [pq.read_table(next((run / "outcomes").glob("*.parquet"))).to_pylist() for run in runs]
    values = []
    for table in tables:
        both, union, true = (np.array([row[n] for row in table]) for n in ("intersection", "union", "true"))
        shares = both.sum(axis=0) / union.sum(axis=0)
        own = np.nanmean(np.where(union > 0, both / np.maximum(union, 1), np.nan), axis=1)
        values.append({
            "miou": shares.mean(), "pixel_accuracy": both.sum() / true.sum(), "picture_miou": own.mean(),
        })  # fmt: skip
    for metric, row in found.items():
        assert row["first"] == pytest.approx(values[0][metric])
        assert row["second"] == pytest.approx(values[1][metric])
        assert row["difference"] == pytest.approx(row["second"] - row["first"])
        assert row["low"] < row["difference"] < row["high"]
        assert row["n"] == 12
        assert f"segmentation {metric} " in said
    scores = [json.loads(line) for line in (runs[1] / "scores.jsonl").read_text().splitlines()]
    assert {score["metric"]: score["value"] for score in scores} == pytest.approx(values[1])
    assert "percentile bootstrap over pictures" in found["miou"]["interval"]
