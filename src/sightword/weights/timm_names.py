"""The names that timm gives to the parts of its ViT, which SLIP, MAE and open_clip's timm towers bear."""

from __future__ import annotations

import torch

from sightword.config import ImageTowerConfig
from sightword.towers.build import build_image
from sightword.weights.clip_names import norm
from sightword.weights.places import places
from sightword.weights.renaming import Pair, blocks, same, shaped

_PARTS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
_POOL = ("q", "kv", "proj", "norm", "mlp.fc1", "mlp.fc2")


def vit(image: ImageTowerConfig, prefix: str = "") -> list[Pair]:
    """timm's `VisionTransformer` under `prefix`, beside our ViT with the patch stem.

    Its patch embedding has no bias where a norm stands before the blocks; ours then goes into the positions.
    """
    ours = "towers.image."
    absorb = image.pre_norm and image.stem == "patch"
    pairs = [*_stem(image, prefix), places(image, f"{prefix}pos_embed", absorb=absorb)]
    if image.has_class_token:
        pairs.append(same(f"{ours}class_token", f"{prefix}cls_token"))
    if image.pre_norm:
        pairs += norm(f"{ours}pre_norm", f"{prefix}norm_pre")
    each = [f"{part}.{kind}" for part in _PARTS for kind in ("weight", "bias")]
    pairs += blocks(
        image.layers[0], *(same(f"{ours}blocks.{{i}}.{n}", f"{prefix}blocks.{{i}}.{n}") for n in each)
    )
    pairs += norm(f"{ours}norm", f"{prefix}{'fc_norm' if image.norm_after_pool else 'norm'}")
    return pairs + (_attention_pool(prefix) if image.pool == "attention" else [])


def _stem(image: ImageTowerConfig, prefix: str) -> list[Pair]:
    """Patches; or convolutions, which MoCo v3's `ConvStem` keeps under the same name."""
    ours, theirs = "towers.image.stem.", f"{prefix}patch_embed.proj."
    if image.stem == "conv":
        with torch.device("meta"):
            names = [n for n in build_image(image).state_dict() if n.startswith("stem.layers.")]
        return [same(f"towers.image.{name}", theirs + name.removeprefix("stem.layers.")) for name in names]
    width, patch, bias = image.width, image.patch_size, f"{theirs}bias"
    pairs = [shaped(f"{ours}weight", f"{theirs}weight", (width, -1), (width, 3, patch, patch))]
    if image.pre_norm:
        return pairs
    return [*pairs, same(f"{ours}bias", bias) if image.stem_bias else _zeros(bias, width)]


def _zeros(name: str, width: int) -> Pair:
    """A bias that theirs has and ours lacks."""
    return Pair((), (name,), lambda theirs: [], lambda ours: [torch.zeros(width)])


def _attention_pool(prefix: str) -> list[Pair]:
    ours, theirs = "towers.image.attention_pool.", f"{prefix}attn_pool."
    pairs = [same(f"{ours}probe", f"{theirs}latent")]
    return pairs + [pair for part in _POOL for pair in norm(ours + part, theirs + part)]
