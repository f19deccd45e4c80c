"""What the shapes of timm's ViT tell of it, and what they must not hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch

from sightword.config import ImageTowerConfig, Pool
from sightword.errors import SightwordError
from sightword.towers.positions import sincos_2d
from sightword.weights.clip_shapes import count, side_of, sized
from sightword.weights.reading import Read

_STRANGE = {  # what stands in names of tensors of options that the towers here do not have
    ".ls1.": "LayerScale",
    ".gamma_1": "LayerScale",
    "reg_token": "register tokens",
    "dist_token": "a distillation token",
    ".q_norm.": "normalised queries and keys",
    ".attn.norm.": "a norm inside attention",
    ".mlp.norm.": "a norm inside the MLP",
    ".fc1_g.": "a gated MLP (SwiGLU)",
    ".w12.": "a gated MLP (SwiGLU)",
    ".w3.": "a gated MLP (SwiGLU)",
    "rope": "rotary positions",
    "rel_pos": "relative positions",
    "relative_position": "relative positions",
    "patch_embed.backbone.": "convolutions before the transformer",
    "patch_embed.norm.": "a norm in the patch embedding",
    ".q_bias": "biases of queries and values alone (BEiT)",
}
_CLOSE = 1e-5  # of stored positions to the formula's, which float32 rounds
_HEADS = ("head.", "fc.", "classifier.", "head_dist.")  # of classes: no part of the features


def is_vit(file: Read, prefix: str = "") -> bool:
    """Whether there is a ViT by timm's names under `prefix`."""
    names = ("patch_embed.proj.weight", "patch_embed.proj.0.weight", "patch_embed.backbone.")
    embeds = any(name.startswith(tuple(prefix + n for n in names)) for name in file.tensors)
    return embeds and any(name.startswith(f"{prefix}blocks.0.") for name in file.tensors)


def demand_plain(file: Read, prefix: str = "") -> None:
    """See that no option is used that the towers here do not have.

    Raises:
        SightwordError: when one is, naming it and the tensor that shows it.
    """
    for name in sorted(n for n in file.tensors if n.startswith(prefix)):
        strange = next((said for part, said in _STRANGE.items() if part in name), None)
        if strange:
            raise SightwordError(
                f"the ViT in '{file.where}' has {strange} ({name}), which the towers here do not have;"
                " docs/interop.md lists what can be read"
            )
    shapes = {n: sized(file, f"{prefix}blocks.0.mlp.{n}.weight", 2) for n in ("fc1", "fc2")}
    if shapes["fc1"][0] != shapes["fc2"][1]:
        raise SightwordError(
            f"the ViT in '{file.where}' has a gated MLP ({prefix}blocks.0.mlp.fc1 gives {shapes['fc1'][0]}"
            f" numbers, fc2 takes {shapes['fc2'][1]}), which the towers here do not have"
        )


def with_class_row(file: Read, prefix: str = "") -> Read:
    """The same tensors with a position for the class token: zero where timm gives it none
    (`no_embed_class`)."""
    name = f"{prefix}pos_embed"
    _, rows, width = sized(file, name, 3)
    if f"{prefix}cls_token" not in file.tensors or math.isqrt(rows) ** 2 != rows or rows == 1:
        return file
    first = torch.zeros(1, 1, width, dtype=file.tensors[name].dtype)
    return replace(file, tensors={**file.tensors, name: torch.cat([first, file.tensors[name]], dim=1)})


def with_counters(file: Read) -> Read:
    """The same tensors with the number of batches that each batch norm saw: 0 where an old file lacks it."""
    stems = {name.removesuffix("running_mean") for name in file.tensors if name.endswith(".running_mean")}
    missing = {f"{stem}num_batches_tracked" for stem in stems} - file.tensors.keys()
    return replace(file, tensors={**file.tensors, **{name: torch.tensor(0) for name in missing}})


def fixed_positions(file: Read) -> Literal["column first", "row first"] | None:
    """Whether positions are fixed sines and cosines behind a zero for the class token: MAE's encode the
    column first, MoCo v3's the row."""
    positions = file.tensors.get("pos_embed")
    if positions is None or positions.dim() != 3 or positions.shape[2] % 4 or "cls_token" not in file.tensors:
        return None
    _, rows, width = positions.shape
    side = math.isqrt(max(0, rows - 1))
    if side == 0 or side * side != rows - 1 or bool(positions[0, 0].any()):
        return None
    columns, lines = sincos_2d(width, (side, side)).chunk(2, dim=1)
    if float((positions[0, 1:] - torch.cat([columns, lines], dim=1)).abs().max()) < _CLOSE:
        return "column first"
    turned = float((positions[0, 1:] - torch.cat([lines, columns], dim=1)).abs().max()) < _CLOSE
    return "row first" if turned else None


def vit_of(file: Read, heads: int, pool: Pool, prefix: str = "", **more: Any) -> ImageTowerConfig:
    """The tower whose tensors these are.

    Args:
        file: tensors by timm's names; see `with_class_row`.
        heads: of attention; tensors do not tell.
        pool: tensors do not always tell; see `pool_of`.
        prefix: in front of the names.
        more: further fields that tensors do not tell.

    Raises:
        SightwordError: when a tensor is missing, or of a shape that cannot be.
    """
    conv = f"{prefix}patch_embed.proj.0.weight" in file.tensors
    last = f"{prefix}patch_embed.proj.12.weight" if conv else f"{prefix}patch_embed.proj.weight"
    width, _, patch, wide = sized(file, last, 4)
    patch, wide = (16, 16) if conv else (patch, wide)
    rows = sized(file, f"{prefix}pos_embed", 3)[1]
    classed = f"{prefix}cls_token" in file.tensors
    _demand(file, patch == wide, f"patches of {patch} x {wide} pixels; only square ones can be read here")
    _demand(file, heads > 0 and width % heads == 0, f"a width of {width}, which {heads} heads do not divide")
    return ImageTowerConfig(
        size=patch * side_of(file, rows - classed, f"{prefix}pos_embed"),
        width=width,
        layers=(count(file.tensors, f"{prefix}blocks."),),
        heads=heads,
        patch_size=patch,
        stem="conv" if conv else "patch",
        stem_bias=f"{last.removesuffix('weight')}bias" in file.tensors,
        pre_norm=f"{prefix}norm_pre.weight" in file.tensors,
        pool=pool,
        class_token=classed and pool != "class",
        norm_after_pool=f"{prefix}fc_norm.weight" in file.tensors,
        mlp_ratio=sized(file, f"{prefix}blocks.0.mlp.fc1.weight", 2)[0] / width,
        **more,
    )


def pool_of(file: Read, prefix: str = "") -> tuple[Pool, list[str]]:
    """How tokens are pooled, by what there is, and what had to be taken for granted."""
    if f"{prefix}attn_pool.latent" in file.tensors:
        return "attention", []
    classed, after = f"{prefix}cls_token" in file.tensors, f"{prefix}fc_norm.weight" in file.tensors
    if classed and not after:
        return "class", ["taken for pooled at the class token, which nothing says"]
    return "gap", ["taken for pooled by the mean of patches (timm's avg), which nothing says"]


def is_head(name: str) -> bool:
    """Whether a tensor belongs to a classifier, which is no part of the features."""
    return name.startswith(_HEADS)


def notes_on_heads(names: Mapping[str, object]) -> list[str]:
    """What to tell of classifiers that are left out."""
    found = sorted({name.partition(".")[0] for name in names if is_head(name)})
    return [f"left out: {', '.join(found)}, no part of the features"] if found else []


def _demand(file: Read, fine: bool, found: str) -> None:
    if not fine:
        raise SightwordError(f"the ViT in '{file.where}' has {found}")
