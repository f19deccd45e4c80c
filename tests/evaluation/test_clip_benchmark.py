"""CLIP_benchmark's own `build`, run on what is written for it, makes the table."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from colour_sets import ColourModel, write_clip_benchmark, write_folder
from published_sets import published

from sightword.evaluation.clip_benchmark import name_of, rows
from sightword.evaluation.run import evaluate
from sightword.evaluation.scores import read_scores

FIELDS = {"dataset", "model", "pretrained", "task", "metrics", "language"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    places = [
        str(write_folder(tmp_path / "colours")),
        str(write_clip_benchmark(tmp_path / "mine")),
        published(tmp_path, "cifar100", ["red", "blue"]),
    ]
    evaluate(ColourModel(blur=0.5), tmp_path / "run", places, ["zeroshot", "linear"], say=lambda _: None)
    return tmp_path / "run"


def test_a_file_for_each_set_and_task(run: Path) -> None:
    files = sorted((run / "clip_benchmark").iterdir())
    assert [file.name for file in files] == [
        "colours_linear_probe.json",
        "colours_zeroshot_classification.json",
        "vtab_cifar100_zeroshot_classification.json",
        "wds_mine_zeroshot_classification.json",
    ]
    found = [json.loads(file.read_text()) for file in files]
    assert all(row.keys() == FIELDS for row in found)
    assert sorted(map(str, found)) == sorted(map(str, json.loads((run / "results.json").read_text())))
    scores = {(s.dataset, s.task, s.metric): s.value for s in read_scores(run)}
    for row, key in zip(found, [("colours", "linear"), ("colours", "zeroshot")], strict=False):
        assert row["metrics"] == {metric: scores[*key, metric] for metric in row["metrics"]}
        assert set(row["metrics"]) == {"acc1", "acc5", "mean_per_class_recall"}


def test_only_the_latest_weights_are_told(run: Path) -> None:
    scores = read_scores(run)
    evaluate(ColourModel(weights_hash="w1", name="later"), run, [scores[0].place], ["zeroshot"])
    row = json.loads((run / "clip_benchmark" / "colours_zeroshot_classification.json").read_text())
    assert (row["pretrained"], row["model"], row["metrics"]["acc1"]) == ("w1", "later", 1.0)


def test_splits_of_one_set_are_told_apart(model: ColourModel, tmp_path: Path) -> None:
    place = str(write_folder(tmp_path / "colours", splits=("test", "val", "train")))
    (tmp_path / "colours" / "test").rename(tmp_path / "colours" / "valid")
    scores = evaluate(model, tmp_path / "run", [place], ["zeroshot"])
    assert [row["dataset"] for row in rows(scores)] == ["colours/val", "colours/valid"]


def test_names_are_spelled_as_there(tmp_path: Path) -> None:
    assert name_of("flowers") == "vtab/flowers"
    assert name_of("imagenet") == "imagenet1k"
    assert name_of("imagenet_a") == "imagenet-a"
    assert name_of("aircraft") == "fgvc_aircraft"
    assert name_of("cub200") == "cub200"  # it has none of that
    where = write_clip_benchmark(tmp_path / "here")
    assert name_of("flowers", f"flowers={where}") == "wds/vtab/flowers"
    assert name_of("here", str(where)) == "wds/here"
    assert name_of("flowers", f"flowers={tmp_path}") == "vtab/flowers"


def _theirs() -> str:
    """A program that calls the installed package's `build`, and nothing else of it."""
    return (
        "import sys, types, importlib.util as u\n"
        "spec = u.find_spec('clip_benchmark')\n"
        "sys.exit(77) if spec is None else None\n"
        "for name in ['datasets.builder', 'metrics', 'model_collection', 'models']:\n"
        "    stub = types.ModuleType('clip_benchmark.' + name)\n"
        "    stub.__getattr__ = lambda _: None\n"
        "    sys.modules[stub.__name__] = stub\n"
        "from clip_benchmark.cli import main\n"
        "main()\n"
    )


def test_their_build_makes_the_table(run: Path) -> None:
    """The model collections that its command imports first are left out; `build` is theirs, whole."""
    files = sorted(str(file) for file in (run / "clip_benchmark").iterdir())
    table = run / "table.csv"
    command = [sys.executable, "-c", _theirs(), "build", *files, "--output", str(table)]
    extra = os.environ.get("SIGHTWORD_PEERS", "")
    path = os.pathsep.join(part for part in (extra, os.environ.get("PYTHONPATH", "")) if part)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    if done.returncode == 77:
        pytest.skip("clip_benchmark is not installed (SIGHTWORD_PEERS may name the folder that holds it)")
    assert done.returncode == 0, done.stderr
    with table.open(newline="") as file:
        made = {(row["dataset"], row["task"]): row for row in csv.DictReader(file)}
    assert set(made) == {
        ("colours", "linear_probe"),
        ("colours", "zeroshot_classification"),
        ("vtab/cifar100", "zeroshot_classification"),
        ("wds/mine", "zeroshot_classification"),
    }
    row = made["vtab/cifar100", "zeroshot_classification"]
    value = next(s.value for s in read_scores(run) if s.dataset == "cifar100" and s.metric == "acc1")
    assert float(row["acc1"]) == value
    assert (row["acc5"], row["model_fullname"], row["language"]) == ("", "colours w0", "en")
