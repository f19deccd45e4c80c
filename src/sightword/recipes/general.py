"""Recipes for anybody's pairs: where `sightword train` starts from when no recipe is named."""

from __future__ import annotations

from typing import Literal

from sightword.config import Config, DataConfig, ModelConfig, OptimizerConfig
from sightword.recipes import models

MODEL = "vit-s16"


def plain(model: str) -> Config:
    """Any sum of objectives on any model, with one learning rate and weight decay for all of them.

    Small text towers get a small vocabulary learned from the captions: CLIP's 49,408 rows would be most of
    such a model. Learning rate and decay are the middle ground of SLIP's arms; give --lr and --wd to change.
    """
    found = models.find(model)
    return Config(
        objective="clip",
        model=found,
        data=DataConfig(tokenizer=words_of(found)),
        optimizer=OptimizerConfig(lr=1e-3, wd=0.1),
    )


def words_of(model: ModelConfig) -> Literal["clip", "learned"]:
    """Which vocabulary a model's text tower gets where none is asked for."""
    return "learned" if model.text.width < 512 else "clip"
