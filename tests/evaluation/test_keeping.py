"""Kept work of trainings: of whom it is, when it is saved, and that all of it comes back."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from colour_sets import ColourModel, write_folder
from torch import nn

from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.keeping import Keeper, Standing, keeper_of


def learner(kind: type[torch.optim.Optimizer], **how: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1, bias=False))
    return model, kind(model.parameters(), **how)  # type: ignore[arg-type]


def learn(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, start: int = 0) -> None:
    for step in range(start, start + steps):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.AdamW, {"lr": 0.01}),
        (torch.optim.AdamW, {"lr": 0.01, "fused": True}),
    ],
)
def test_what_goes_on_is_what_never_stopped(
    tmp_path: Path, kind: type[torch.optim.Optimizer], how: dict[str, float]
) -> None:
    keeper = Keeper(tmp_path / "k.safetensors", "this")
    whole, its = learner(kind, **how)
    learn(whole, its, 6)
    one, mine = learner(kind, **how)
    learn(one, mine, 4)
    keeper.save(Standing(done=4, loss=0.1 + 0.2), one, mine, {"chance": torch.arange(3)})
    other, again = learner(kind, **how)
    learn(other, again, 1, start=90)  # whatever it was before
    standing = keeper.standing()
    assert standing == Standing(done=4, loss=0.1 + 0.2)
    assert keeper.restore(other, again)["chance"].tolist() == [0, 1, 2]
    learn(other, again, 2, start=4)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_weights_alone(tmp_path: Path) -> None:
    model, _ = learner(torch.optim.SGD, lr=0.1)
    keeper = Keeper(tmp_path / "x.unfinished.safetensors", "this").beside("best")
    assert keeper.path == tmp_path / "x.best.unfinished.safetensors"
    keeper.save(Standing(trial="a"), model)
    other = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1, bias=False))
    keeper.restore(other)
    assert torch.equal(other[0].weight, model[0].weight)  # type: ignore[index]


def test_whose_it_is(tmp_path: Path) -> None:
    train = open_benchmark(str(write_folder(tmp_path / "colours", each=1))).train
    assert train is not None
    model, optimizer = learner(torch.optim.SGD, lr=0.1)
    mine = FeatureStore(ColourModel(), tmp_path / "f"), train, "task", {"lr": 1}
    keeper_of(*mine).save(Standing(done=1), model, optimizer)
    assert keeper_of(*mine).standing() == Standing(done=1)
    store, *_ = mine
    assert keeper_of(store, train, "task", {"lr": 2}).standing() is None
    assert keeper_of(store, train, "task", {"lr": 1}, "part").standing() is None
    weights = FeatureStore(ColourModel(weights_hash="w1"), tmp_path / "f")
    assert keeper_of(weights, train, "task", {"lr": 1}).standing() is None
    path = keeper_of(*mine).path
    assert path is not None
    path.write_bytes(path.read_bytes()[:-1])
    assert keeper_of(*mine).standing() is None
    assert keeper_of(FeatureStore(ColourModel(), None), train, "task", {}).path is None


def test_a_training_that_is_not_under_way_begins() -> None:
    standing = Standing({"a": 0.5}, "b", 3, 0.25)
    assert standing.at("b") == standing
    assert standing.at("c") == Standing({"a": 0.5}, "c")


def test_saving_takes_little_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    keeper = Keeper(tmp_path / "k.safetensors", "this")
    assert not keeper.due()
    now = 161.0
    assert keeper.due()
    assert not replace(keeper, path=None).due()
    model, _ = learner(torch.optim.SGD, lr=0.1)

    def slow(path: Path, write: object) -> None:
        nonlocal now
        now += 9.0

    monkeypatch.setattr("sightword.evaluation.keeping.write_whole", slow)
    keeper.save(Standing(), model)
    now += 299.0
    assert not keeper.due()
    now += 2.0
    assert keeper.due()
