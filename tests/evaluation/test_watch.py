from __future__ import annotations

from pathlib import Path

import pytest
from colour_sets import COLOURS, ColourModel, square, write_clip_benchmark

from sightword.evaluation import watch
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.labelled import Benchmark, LabelledSet


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


def test_pairs_without_classes_are_watched_by_retrieval(
    model: ColourModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What held-out pairs are; a set with classes is not retrieved from besides."""
    names = list(COLOURS)
    captions = tuple((name,) for name in names)
    pairs = LabelledSet("held-out", "test", tuple(names), lambda i: square(names[i], i), captions=captions)
    monkeypatch.setattr(watch, "_opened", lambda place: Benchmark("held-out", (pairs,)))
    records = watch.zeroshot(model, ["held-out"])
    assert {(record["task"], record["value"]) for record in records} == {("retrieval", 1.0)}
    assert [record["metric"] for record in records if record["headline"]] == ["image_retrieval_recall@5"]
    assert watch.zeroshot(ColourModel(has_text=False), ["held-out"]) == []


def test_pictures_are_decoded_once_for_many_looks_as_far_as_there_is_room(
    model: ColourModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, decoded = str(write_clip_benchmark(tmp_path / "wds")), list[int]()
    real = watch.picture_of
    monkeypatch.setattr(watch, "picture_of", lambda test, i: (decoded.append(i), real(test, i))[1])
    watch._opened.cache_clear()
    records = watch.zeroshot(model, [where])
    assert len(decoded) == 24
    assert watch.zeroshot(model, [where]) == records
    assert len(decoded) == 24
    monkeypatch.setattr(watch, "_KEPT", 1)
    watch._opened.cache_clear()
    assert watch.zeroshot(model, [where]) == records
    assert watch.zeroshot(model, [where]) == records
    assert len(decoded) >= 72
    watch._opened.cache_clear()
