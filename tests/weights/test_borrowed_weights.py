"""Weights of borrowed towers go in by their library's names, whatever stands in front of them in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.weights import borrowed

IMAGE = {"stem.weight": torch.zeros(3, 2), "norm.weight": torch.zeros(2)}
IMAGE["norm.num_batches_tracked"] = torch.zeros(())
TEXT = {"embeddings.weight": torch.zeros(5, 2), "layer.0.weight": torch.zeros(2, 2)}
MODEL = ModelConfig("x", ImageTowerConfig("timm", name="net"), TextTowerConfig(kind="hf", name="here"))


@pytest.fixture(autouse=True)
def _towers(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"towers.image.": IMAGE, "towers.text.": TEXT}
    monkeypatch.setattr(borrowed, "_wanted", lambda model, vocab: wanted)


def saved(path: Path, front: str, *tensors: dict[str, torch.Tensor]) -> str:
    torch.manual_seed(0)
    named = {front + name: torch.randn(t.shape) for one in tensors for name, t in one.items()}
    save_file(named, path)
    return str(path)


@pytest.mark.parametrize("front", ["", "bert.", "model.vision."])
def test_one_tower(tmp_path: Path, front: str) -> None:
    path = saved(tmp_path / "a.safetensors", front, TEXT)
    found = borrowed.open_borrowed(path, MODEL, 5)
    assert set(found.tensors) == {f"towers.text.trunk.{name}" for name in TEXT}
    assert found.model is MODEL
    assert found.notes == ()


def test_both_and_what_is_left_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", "", TEXT)
    other = saved(tmp_path / "b.safetensors", "", IMAGE, {"head.weight": torch.zeros(4, 2)})
    found = borrowed.open_borrowed(f"{path}::{other}", MODEL, 5)
    assert len(found.tensors) == len(TEXT) + len(IMAGE)
    assert found.notes == (f"1 tensors of {other}, such as those of a classifier, are not used",)


def test_counters_may_be_left_out(tmp_path: Path) -> None:
    few = {name: t for name, t in IMAGE.items() if not name.endswith("tracked")}
    found = borrowed.open_borrowed(saved(tmp_path / "a.safetensors", "", few), MODEL, 5)
    assert set(found.tensors) == {f"towers.image.trunk.{name}" for name in few}


def test_weights_of_neither(tmp_path: Path) -> None:
    narrow = {**TEXT, "layer.0.weight": torch.zeros(2, 3)}
    path = saved(tmp_path / "a.safetensors", "", narrow)
    with pytest.raises(SightwordError, match=r"text tower: layer.0.weight is \(2, 3\), wanted \(2, 2\)"):
        borrowed.open_borrowed(path, MODEL, 5)


def test_which_models_are_borrowed() -> None:
    assert borrowed.is_borrowed(MODEL)
    assert borrowed.is_borrowed(ModelConfig(text=TextTowerConfig(kind="hf")))
    assert not borrowed.is_borrowed(ModelConfig())
