"""A library that is not ours, small: its names, a config.json, CLIP's words; and how it saves."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig, build
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.training.pretrainer import Encoders
from sightword.training.setup import Equipment, build_encoders
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read
from sightword.words import Contrast

PREFIX = "elsewhere."
VIT = ImageTowerConfig(size=16, width=24, layers=(1,), heads=2, patch_size=4, pre_norm=True, stem_bias=False)
RESNET = ImageTowerConfig(
    kind="modified-resnet", size=64, width=8, layers=(1, 1, 1, 1), heads=2, patch_size=32, pool="attention"
)
TEXT = TextTowerConfig(width=16, layers=1, heads=2, context=12)
MODEL = ModelConfig("elsewhere", VIT, TEXT, embed=8)


class Elsewhere:
    """Its family, as rooms of families are."""

    def recognises(self, file: Read) -> bool:
        return all(name.startswith(PREFIX) for name in file.tensors)

    def read(self, file: Read) -> Foreign:
        model = build(ModelConfig, file.config, file.where) if file.config else MODEL
        tensors = {name.removeprefix(PREFIX): tensor for name, tensor in file.tensors.items()}
        paired = any(name.startswith("joint.") for name in tensors)
        words = ClipTokenizer(model.text.context) if paired else None
        notes = () if file.config else ("no config.json lies beside the weights: the usual model is assumed",)
        return Foreign("elsewhere", file.where, model, tensors, words, notes)


def encoders(model: ModelConfig = MODEL, seed: int = 0) -> Encoders:
    """Towers with weights of their own."""
    return build_encoders(
        model, ClipTokenizer(model.text.context), seed, Equipment(True, contrast=Contrast())
    )


def theirs(model: ModelConfig = MODEL, seed: int = 0, image_only: bool = False) -> dict[str, Tensor]:
    """A state dict by the names of elsewhere."""
    own = encoders(model, seed).state_dict()
    return {
        PREFIX + name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in own.items()
        if not image_only or name.startswith("towers.image.")
    }


def described(model: ModelConfig) -> str:
    """Its config.json."""
    return json.dumps(dataclasses.asdict(model))


def folder(path: Path, model: ModelConfig = MODEL, **changes: Any) -> Path:
    """A folder as it is published: config.json and model.safetensors."""
    path.mkdir(parents=True)
    save_file(theirs(model, **changes), path / "model.safetensors")
    (path / "config.json").write_text(described(model))
    return path


def checkpoint(file: Path, model: ModelConfig = MODEL) -> Path:
    """What its training saves: parallel modules, an optimizer, a number of epochs."""
    state = {f"module.{name}": tensor for name, tensor in theirs(model).items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"m": torch.zeros(9)}}, file)
    return file


def wider(model: ModelConfig = MODEL) -> ModelConfig:
    """A model that differs from another in one number."""
    return replace(model, image=replace(model.image, heads=4))
