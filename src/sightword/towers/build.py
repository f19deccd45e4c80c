"""From a configuration to towers, refusing what does not fit before anything is allocated."""

from __future__ import annotations

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import ImageTower, TextTower
from sightword.towers.borrowed_hf import HfImageTower, HfTextTower
from sightword.towers.borrowed_timm import TimmTower
from sightword.towers.modified_resnet import ModifiedResNet
from sightword.towers.resnet import ResNet
from sightword.towers.standard_resnet import StandardResNet
from sightword.towers.text import TextTransformer
from sightword.towers.vit import ViT


def build_image(config: ImageTowerConfig) -> ImageTower:
    """The image tower of a configuration; its weights depend on torch's global seed and nothing else.

    Raises:
        SightwordError: the configuration contradicts itself.
    """
    if config.kind == "timm":
        return TimmTower(config)
    if config.kind == "hf":
        return HfImageTower(config)
    _check_image(config)
    if config.kind == "vit":
        _check_vit(config)
        return ViT(config)
    if config.kind == "resnet":
        _check_resnet(config)
        return ResNet(config)
    if config.kind == "standard-resnet":
        _check_standard_resnet(config)
        return StandardResNet(config)
    _check_modified_resnet(config)
    return ModifiedResNet(config)


def build_text(config: TextTowerConfig, vocab: int, pad: int, eot: int) -> TextTower:
    """The text tower of a configuration, for a tokenizer with `vocab` ids.

    Raises:
        SightwordError: the configuration contradicts itself.
    """
    if config.kind == "hf":
        return HfTextTower(config, vocab, pad, eot)
    name = "model.text"
    _demand(min(config.width, config.heads) > 0, f"{name}: width and heads must be > 0")
    _demand(config.layers >= 0, f"{name}.layers is {config.layers}; give 0 (a bag of words) or more")
    _demand(
        config.layers > 0 or config.pool == "mean",
        f'{name}: without layers a token knows no other, so pool must be "mean", found "{config.pool}"',
    )
    _demand(config.context >= 2, f"{name}.context is {config.context}; start and end of text need at least 2")
    _check_heads(name, config.width, config.heads)
    causal = config.attention == "causal"
    _demand(
        (config.pool == "last") == (config.attention == "padding-too") or config.pool == "mean",
        f'{name}: pool "last" takes the context\'s last place, and only with attention = "padding-too" does'
        f' anything stand there; found pool "{config.pool}" and attention "{config.attention}"',
    )
    _demand(
        not (causal and config.pool == "class"),
        f"{name}: a class token stands in front, where causal attention sees nothing; "
        "use pool = 'eot' or 'mean', or attention = 'bidirectional'",
    )
    return TextTransformer(config, vocab, pad, eot)


def _check_image(config: ImageTowerConfig) -> None:
    name = "model.image"
    numbers = (config.size, config.width, config.heads, config.patch_size, *config.layers)
    _demand(bool(config.layers) and min(numbers) > 0, f"{name}: sizes, widths, heads and layers must be > 0")
    _demand(
        config.size % config.patch_size == 0,
        f"{name}.size is {config.size}, which patch_size {config.patch_size} does not divide; "
        f"use {config.size - config.size % config.patch_size or config.patch_size}",
    )
    _demand(
        config.kind == "vit" or not config.freeze_stem,
        f'{name}.freeze_stem is for a ViT\'s patch embedding, and kind is "{config.kind}"; leave it out',
    )
    _demand(min(config.std) > 0, f"{name}.std is {config.std}; deviations must be > 0")


def _check_vit(config: ImageTowerConfig) -> None:
    name = "model.image"
    _demand(
        len(config.layers) == 1,
        f"{name}.layers is {config.layers}; a ViT has one depth, e.g. layers = [{max(config.layers)}]",
    )
    _demand(0 <= config.drop_path < 1, f"{name}.drop_path is {config.drop_path}; wanted 0 <= drop_path < 1")
    _check_heads(name, config.width, config.heads)
    _demand(
        config.positions == "learned" or config.width % 4 == 0,
        f"{name}.width is {config.width}; sine-cosine positions need a multiple of 4",
    )
    power = config.patch_size & (config.patch_size - 1) == 0 and config.width % config.patch_size == 0
    _demand(
        config.stem == "patch" or (config.patch_size > 1 and power),
        f"{name}: a convolutional stem needs a patch_size that is a power of 2 and divides the width, "
        f"found {config.patch_size} and {config.width}",
    )


def _check_resnet(config: ImageTowerConfig) -> None:
    name = "model.image"
    _demand(
        config.pool != "class",
        f"{name}.pool is 'class', but a ResNet has no class token; use 'gap', 'max' or 'attention'",
    )
    stages = 2 ** (len(config.layers) - 1)
    _demand(
        config.patch_size in (stages, 2 * stages, 4 * stages),
        f"{name}: {len(config.layers)} stages leave a grid cell of {stages}, {2 * stages} or {4 * stages} "
        f"pixels, but patch_size is {config.patch_size}",
    )
    if config.pool == "attention":
        _check_heads(name, config.width * stages, config.heads)


def _check_standard_resnet(config: ImageTowerConfig) -> None:
    name = "model.image"
    _demand(
        config.pool in ("gap", "max"),
        f"{name}.pool is '{config.pool}', but this ResNet has no class token or query; use 'gap' or 'max'",
    )
    _demand(
        len(config.layers) == 4 and config.patch_size == 32,
        f"{name}: a standard ResNet has 4 stages and a patch_size of 32,"
        f" found layers {config.layers} and {config.patch_size}",
    )


def _check_modified_resnet(config: ImageTowerConfig) -> None:
    name = "model.image"
    _demand(
        config.pool == "attention",
        f"{name}.pool is '{config.pool}', but OpenAI's modified ResNet pools by attention; use 'attention'",
    )
    _demand(
        len(config.layers) == 4 and config.patch_size == 32 and config.width % 2 == 0,
        f"{name}: OpenAI's modified ResNet has 4 stages, a patch_size of 32 and an even width, "
        f"found layers {config.layers}, {config.patch_size} and {config.width}",
    )
    _check_heads(name, config.width * 32, config.heads)


def _check_heads(name: str, width: int, heads: int) -> None:
    _demand(
        width % heads == 0,
        f"{name}: {heads} heads do not divide a width of {width}; try {_nearest_divisor(width, heads)} heads",
    )


def _nearest_divisor(width: int, heads: int) -> int:
    return min((n for n in range(1, width + 1) if width % n == 0), key=lambda n: abs(n - heads))


def _demand(fine: bool, message: str) -> None:
    if not fine:
        raise SightwordError(message)
