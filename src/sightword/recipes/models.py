"""Models by name: each function's name, with hyphens, is what `--model` takes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import unknown

_TINY_TEXT = TextTowerConfig(width=192, layers=3, heads=3, context=32)


def resnet_tiny() -> ModelConfig:
    """A two-stage ResNet at 32 pixels and a bag of words: learns fast on a CPU."""
    image = ImageTowerConfig(
        kind="resnet", size=32, width=64, layers=(1, 2), heads=4, patch_size=8, pool="gap"
    )
    text = replace(_TINY_TEXT, layers=0, attention="bidirectional", pool="mean")
    return ModelConfig("resnet-tiny", image, text, embed=128)


def vit_tiny() -> ModelConfig:
    """ViT-Ti (192 wide, 12 layers) with 8-pixel patches at 64 pixels; can hide patches (mae)."""
    image = ImageTowerConfig(size=64, width=192, layers=(12,), heads=3, patch_size=8)
    return ModelConfig("vit-tiny", image, _TINY_TEXT, embed=128)


def vit_tiny_conv() -> ModelConfig:
    """vit-tiny with a convolutional stem (arXiv 2106.14881): learns faster, cannot hide patches."""
    tiny = vit_tiny()
    return replace(tiny, name="vit-tiny-conv", image=replace(tiny.image, stem="conv"))


def vit_s16() -> ModelConfig:
    """SLIP's ViT-S/16: 384 wide, 12 layers and 12 heads (timm's has 6)."""
    return ModelConfig("vit-s16", ImageTowerConfig(width=384, layers=(12,), heads=12))


def vit_b16() -> ModelConfig:
    """SLIP's ViT-B/16: 768 wide, 12 layers."""
    return ModelConfig("vit-b16", ImageTowerConfig(width=768, layers=(12,), heads=12))


def vit_b32() -> ModelConfig:
    """CLIP's ViT-B/32: 768 wide, 12 layers, 32-pixel patches."""
    return ModelConfig("vit-b32", ImageTowerConfig(width=768, layers=(12,), heads=12, patch_size=32))


def vit_l16() -> ModelConfig:
    """SLIP's ViT-L/16: 1024 wide, 24 layers."""
    return ModelConfig("vit-l16", ImageTowerConfig(width=1024, layers=(24,), heads=16))


def rn50() -> ModelConfig:
    """OpenAI's modified ResNet-50 with attention pooling."""
    image = ImageTowerConfig(
        kind="modified-resnet", width=64, layers=(3, 4, 6, 3), heads=32, patch_size=32, pool="attention"
    )
    return ModelConfig("rn50", image, embed=1024)


def resnet50() -> ModelConfig:
    """The ResNet-50 of torchvision and timm, its feature the mean of the last map."""
    image = ImageTowerConfig(kind="standard-resnet", width=64, layers=(3, 4, 6, 3), patch_size=32, pool="gap")
    return ModelConfig("resnet50", image, embed=1024)


def names() -> dict[str, Callable[[], ModelConfig]]:
    """Every model of this file by its name on the command line."""
    own = vars(sys.modules[__name__]).values()
    made = [f for f in own if inspect.isfunction(f) and f.__module__ == __name__]
    return {f.__name__.replace("_", "-"): f for f in made if f.__annotations__ == {"return": "ModelConfig"}}


def find(name: str) -> ModelConfig:
    """The model of that name, or one of another library: `timm:NETWORK`, `hf:FOLDER`.

    Raises:
        SightwordError: when there is none, with the nearest names, or the library cannot be imported.
    """
    if name.startswith(("timm:", "hf:")):
        from sightword.recipes import borrowed  # this one needs torch

        return borrowed.image_model(name)
    known = names()
    if name not in known:
        raise unknown("model", name, known)
    return known[name]()
