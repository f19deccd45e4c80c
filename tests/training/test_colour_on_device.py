"""Colours done where training runs: the same batches and the same training as from the loaders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import SIMCLR, shard, tiny

from sightword.config import Config
from sightword.objectives import catalogue
from sightword.training import loop
from sightword.training.feed import open_store
from sightword.training.loop import train
from sightword.training.records import read_records
from sightword.training.session import begin, config_digest
from sightword.training.setup import choose_colourer
from sightword.training.supply import load_steps
from sightword.views import named
from sightword.views.on_device import finished
from sightword.words import Batch

SUM = f"clip + {SIMCLR}"


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


def with_colour(config: Config, colour: str, **changes: Any) -> Config:
    return replace(config, data=replace(config.data, colour=colour, **changes))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shard(tmp_path_factory.mktemp("other") / "pictures.tar", 40, broken=(4, 11))


def batches(out: Path, data: Path, other: Path, colour: str, workers: int, in_memory: bool) -> list[Batch]:
    config = with_colour(tiny(out, data, SUM), colour, sight=str(other), max_bad=0.5)
    session = begin(config)
    stores = [open_store(pairs, 100.0) if in_memory else None for pairs in (session.pairs, session.sight)]  # type: ignore[arg-type]
    with load_steps(session.steps(*stores), 0, 5, workers, cuda=False) as found:
        return list(found)


def assert_within_a_level(one: Batch, two: Batch) -> None:
    assert (one.keys, one.bad) == (two.keys, two.bad)
    assert list(one.views) == list(two.views)
    for view, images in one.views.items():
        assert (images.int() - two.views[view].int()).abs().max() <= 1
    if one.sight or two.sight:
        assert one.sight
        assert two.sight
        assert_within_a_level(one.sight, two.sight)


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_finished_batches_are_the_loaders(
    tmp_path: Path, data: Path, other: Path, workers: int, in_memory: bool
) -> None:
    """Other pictures and replaced ones included."""
    wanted = batches(tmp_path / "loader", data, other, "loader", 0, in_memory)
    found = batches(tmp_path / "device", data, other, "device", workers, in_memory)
    assert {key for batch in wanted for key, _ in batch.bad} == {"sight:0004", "sight:0011"}
    strong = named.strong(16)
    for batch, ours in zip(wanted, found, strict=True):
        assert not batch.finish
        assert ours.sight
        assert batch.sight
        assert strong in ours.sight.finish
        assert named.language(16) in ours.views
        assert not ours.finish, "a crop has no colours"
        assert not torch.equal(ours.sight.views[strong], batch.sight.views[strong]), "nothing was left to do"
        assert_within_a_level(finished(ours), batch)


@pytest.mark.parametrize("changes", [{}, {"accum_freq": 2}], ids=["whole", "chunks"])
@pytest.mark.parametrize("sight", [False, True])
def test_training_is_the_same_within_a_level(
    tmp_path: Path, data: Path, other: Path, sight: bool, changes: dict[str, Any]
) -> None:
    runs = {}
    for colour in ("loader", "device"):
        config = tiny(tmp_path / colour, data, SUM, **changes)
        runs[colour] = train(
            with_colour(config, colour, sight=str(other) if sight else "", max_bad=0.5), say=quiet
        )
    records = {colour: read_records(out / "metrics.jsonl") for colour, out in runs.items()}
    assert {colour: found[0]["colour"] for colour, found in records.items()} == {
        "loader": "loader",
        "device": "device",
    }
    losses = {c: [r["loss"] for r in found if r["kind"] == "step"] for c, found in records.items()}
    assert len(losses["device"]) == 6
    assert losses["device"] == pytest.approx(losses["loader"], rel=1e-4)
    ours, theirs = (load_file(runs[c] / "model.safetensors") for c in ("device", "loader"))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-2, atol=1e-3)


def test_without_finishing_training_would_be_another(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    whole = train(with_colour(tiny(tmp_path / "whole", data, SUM), "device"), say=quiet)
    monkeypatch.setattr(loop, "finished", lambda batch: batch)
    cut = train(with_colour(tiny(tmp_path / "cut", data, SUM), "device"), say=quiet)
    one, two = (
        [r["loss"] for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]
        for out in (whole, cut)
    )
    assert one != pytest.approx(two, rel=1e-4)


def test_what_objectives_prepare_on_is_finished(
    tmp_path: Path, data: Path, throwaway: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`palette` looks at pictures before the first step; here at views with colours."""
    kind = catalogue.load_objective("palette")
    real, strong = kind.prepare, named.strong(16)
    seen: list[Batch] = []

    def noted(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            seen.append(batch)
            yield batch

    monkeypatch.setattr(named, "reconstruction", named.strong)
    monkeypatch.setattr(kind, "prepare", lambda self, batches: real(self, noted(batches)))
    for colour in ("loader", "device"):
        train(with_colour(tiny(tmp_path / colour, data, "clip + palette"), colour), say=quiet)
    assert len(seen) == 6
    assert all(list(batch.views) == [strong] and not batch.finish for batch in seen)
    for one, two in zip(seen[:3], seen[3:], strict=True):
        assert_within_a_level(one, two)


def test_auto_is_a_gpu_that_trains(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data)
    assert choose_colourer(config, torch.device("cpu")) == "loader"
    assert choose_colourer(config, torch.device("cuda", 1)) == "device"
    for colour in ("loader", "device"):
        assert choose_colourer(with_colour(config, colour), torch.device("cuda")) == colour
    assert len({config_digest(with_colour(config, colour)) for colour in ("auto", "loader", "device")}) == 1
