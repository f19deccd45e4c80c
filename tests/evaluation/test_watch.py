from __future__ import annotations

import pytest
from colour_sets import ColourModel, write_clip_benchmark

from sightword.evaluation import watch
from sightword.evaluation.benchmarks import open_benchmark


def test_watching_gives_records_and_writes_nothing(
    model: ColourModel, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(write_clip_benchmark(tmp_path / "wds"))
    before = sorted(tmp_path.rglob("*"))
    records = watch.zeroshot(model, [where])
    monkeypatch.setattr(watch, "_opened", lambda place: {"demo": open_benchmark(where)}[place])
    assert watch.zeroshot(model) == records
    assert [record["metric"] for record in records] == ["acc1", "acc5", "mean_per_class_recall"]
    assert records[0] | {"low": 0, "high": 1} == {
        "dataset": "wds",
        "split": "test",
        "task": "zeroshot",
        "metric": "acc1",
        "value": 1.0,
        "low": 0,
        "high": 1,
        "n": 24,
        "headline": True,
    }
    assert [record["headline"] for record in records] == [True, False, False]
    assert sorted(tmp_path.rglob("*")) == before
    assert watch.zeroshot(ColourModel(has_text=False)) == []
