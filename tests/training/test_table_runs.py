"""Runs on tables and folders: the same pairs give the same batches, whatever holds them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny_runs import tiny

from sightword.config import Config
from sightword.pairs.sample import Sample
from sightword.pairs.sources import open_pairs
from sightword.recipes.runs import train_and_score
from sightword.training.records import read_records
from sightword.training.session import begin
from sightword.training.supply import load_steps
from sightword.words import Batch


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def samples(data: Path) -> list[Sample]:
    pairs = open_pairs(str(data))
    return [pairs[i] for i in range(len(pairs))]


@pytest.fixture
def folder(tmp_path: Path, samples: list[Sample]) -> Path:
    (tmp_path / "folder").mkdir()
    for sample in samples:
        (tmp_path / "folder" / f"{sample.key}.png").write_bytes(sample.image)
        (tmp_path / "folder" / f"{sample.key}.txt").write_text(sample.caption)
    return tmp_path / "folder"


@pytest.fixture
def table(folder: Path, samples: list[Sample]) -> Path:
    """A csv with column names of its own."""
    with (folder.parent / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["pic", "words"])
        rows.writerows((f"folder/{sample.key}.png", sample.caption) for sample in samples)
    return folder.parent / "pairs.csv"


@pytest.fixture
def parquet(tmp_path: Path, samples: list[Sample]) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = [{"bytes": sample.image, "path": f"{sample.key}.png"} for sample in samples]
    columns = {"image": pa.array(pictures, kind), "text": [sample.caption for sample in samples]}
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet", row_group_size=7)
    return tmp_path / "pairs.parquet"


def _own_columns(config: Config) -> Config:
    return replace(config, data=replace(config.data, image_key="pic", caption_key="words"))


def _batches(config: Config, workers: int) -> Iterator[Batch]:
    session = begin(config)
    with load_steps(session.steps(None), 0, 6, workers, cuda=False) as batches:
        yield from batches


def _same(ours: Batch, theirs: Batch) -> bool:
    views = all(torch.equal(ours.views[view], theirs.views[view]) for view in theirs.views)
    words = all(torch.equal(ours.captions[w].ids, theirs.captions[w].ids) for w in theirs.captions)
    return bool(views and words and ours.views.keys() == theirs.views.keys())


@pytest.mark.parametrize("workers", [0, 2])
def test_every_source_gives_the_same_batches(
    tmp_path: Path, data: Path, folder: Path, table: Path, parquet: Path, workers: int
) -> None:
    expected = list(_batches(tiny(tmp_path / "tar", data), 0))
    configs = (
        tiny(tmp_path / "a", folder),
        _own_columns(tiny(tmp_path / "b", table)),
        tiny(tmp_path / "c", parquet),
    )
    for config in configs:
        for ours, theirs in zip(_batches(config, workers), expected, strict=True):
            assert _same(ours, theirs)


def test_a_whole_run_on_a_table_with_a_picture_missing(tmp_path: Path, folder: Path, table: Path) -> None:
    (folder / "0003.png").unlink()
    config = _own_columns(replace(tiny(tmp_path / "run", table), evaluate_on="", steps=5))
    config = replace(config, data=replace(config.data, max_bad=0.5))
    assert train_and_score(config) == []
    kinds = [record["kind"] for record in read_records(tmp_path / "run/metrics.jsonl")]
    assert kinds.count("step") == 5
    assert "folder/0003" in (tmp_path / "run/quarantine.jsonl").read_text()


def test_a_table_may_move(tmp_path: Path, table: Path, folder: Path) -> None:
    config = _own_columns(tiny(tmp_path / "run", table))
    before = begin(config).data_hash
    (tmp_path / "moved").mkdir()
    folder.rename(tmp_path / "moved/folder")
    moved = table.rename(tmp_path / "moved/pairs.csv")
    there = replace(config, out=str(tmp_path / "other"), data=replace(config.data, path=str(moved)))
    assert begin(there).data_hash == before
