"""A loss or a gradient that is not a number stops the run at once, with everything needed to find out why."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_runs import tiny

import sightword.objectives
from sightword.cli import main
from sightword.config import to_toml
from sightword.errors import SightwordError
from sightword.pairs.order import Order
from sightword.training.loop import resume_training, train
from sightword.training.model import load_model
from sightword.training.records import read_records
from sightword.training.saving.checkpoint import newest

POISON = '''
"""Poison: fine until it is not."""
from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import nn

from sightword.objectives.base import Objective
from sightword.views import named
from sightword.words import Batch, Encode, Encoded, Surroundings, Term


@final
class Poison(Objective):
    def __init__(self, around: Surroundings, *, step: int = 3, way: str = "loss") -> None:
        super().__init__(around)
        self.step, self.way = step, way
        self.head = nn.Linear(around.image.width, 1)
        self.wants = {"image": Encode("image", view=named.language(around.image.size))}

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: object) -> Term:
        loss = self.head(encoded["image"].pooled).square().mean()
        if batch.step >= self.step:
            if self.way == "loss":
                loss = loss * torch.tensor(float("nan"))
            else:  # the square root of zero has a finite value and an infinite slope
                loss = loss + (loss - loss.detach()).sqrt()
        return Term(loss, {})
'''


@pytest.fixture(autouse=True)
def _poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "mine" / "objectives").mkdir(parents=True)
    (tmp_path / "mine" / "objectives" / "poison.py").write_text(POISON)
    monkeypatch.setenv("SIGHTWORD_PATH", str(tmp_path / "mine"))
    monkeypatch.setattr(sightword.objectives, "__path__", list(sightword.objectives.__path__))
    yield
    sys.modules.pop("sightword.objectives.poison", None)


@pytest.mark.parametrize(
    ("way", "what"), [("loss", "the loss of step 3 is nan"), ("slope", "the gradient of step 3")]
)
@pytest.mark.parametrize("chunks", [1, 2])
def test_it_stops_before_weights_are_spoilt(
    tmp_path: Path, data: Path, way: str, what: str, chunks: int
) -> None:
    objective = f"clip + poison(way={way})"
    config = tiny(tmp_path / "run", data, objective, save_every=1, keep_last=9, accum_freq=chunks)
    with pytest.raises(SightwordError) as found:
        train(config, say=lambda said: None)
    said = str(found.value)
    out = tmp_path / "run"
    saved, complaints = newest(out)
    assert saved is not None
    assert (saved.step, complaints) == (3, [])
    assert what in said
    assert f"the last good checkpoint is {saved.path}" in said
    assert f"its samples are named in {out / 'bad_step.json'}" in said
    assert "clip" in said
    assert "poison" in said
    assert "\n" not in said
    for parameter in load_model(out).encoders.parameters():
        assert parameter.isfinite().all()


def test_the_batch_is_named(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data, "poison(step=2)")
    with pytest.raises(SightwordError, match="nothing was saved before it"):
        train(config, say=lambda said: None)
    bad = json.loads((tmp_path / "run" / "bad_step.json").read_text())
    assert bad["step"] == 2
    assert bad["loss"] == bad["terms"]["poison"] == "nan"
    _, ids = Order((40,), config.seed, config.data.window).batch(2, 8)
    assert bad["ids"] == ids.tolist()
    assert bad["keys"] == [f"{i:04}" for i in ids]
    last = read_records(tmp_path / "run" / "metrics.jsonl")[-1]
    assert (last["kind"], last["step"]) == ("step", 2)


def test_cured_it_goes_on_from_there(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data, "poison(step=4)", save_every=1)
    with pytest.raises(SightwordError):
        train(config, say=lambda said: None)
    cured = tiny(tmp_path / "run", data, "poison(step=100)", save_every=1)
    (tmp_path / "run" / "config.toml").write_text(to_toml(cured))
    out = resume_training(tmp_path / "run", say=lambda said: None)
    steps = [r["step"] for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]
    assert steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_command_says_one_line_and_exits_with_two(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    shape = ["image.layers=1", "text.layers=1", "image.size=16", "image.patch_size=4"]
    settings = [part for one in shape for part in ("--set", f"model.{one}")]
    what = ["--data", str(data), "--objective", "poison(step=1)", "--model", "vit-tiny", *settings]
    how = ["--set", "data.vocab=300", "--steps", "4", "--batch-size", "8", "--workers", workers]
    with pytest.raises(SystemExit) as end:
        main(["train", *what, *how, "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    complaints = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sightword: ")]
    assert len(complaints) == 1
    assert "the loss of step 1 is nan" in complaints[0]
