"""The names that OpenAI's CLIP gave to its parts, which open_clip and SLIP have kept, in pairs with ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from sightword.config import ImageTowerConfig, ModelConfig
from sightword.towers.build import build_image
from sightword.weights.places import places
from sightword.weights.renaming import Change, Pair, blocks, same, shaped, turned

_BLOCK = {
    "norm1.weight": "ln_1.weight",
    "norm1.bias": "ln_1.bias",
    "attn.qkv.weight": "attn.in_proj_weight",
    "attn.qkv.bias": "attn.in_proj_bias",
    "attn.proj.weight": "attn.out_proj.weight",
    "attn.proj.bias": "attn.out_proj.bias",
    "norm2.weight": "ln_2.weight",
    "norm2.bias": "ln_2.bias",
    "mlp.fc1.weight": "mlp.c_fc.weight",
    "mlp.fc1.bias": "mlp.c_fc.bias",
    "mlp.fc2.weight": "mlp.c_proj.weight",
    "mlp.fc2.bias": "mlp.c_proj.bias",
}


def text(model: ModelConfig, prefix: str = "") -> list[Pair]:
    """The text transformer and its projection; `prefix` is "text." where open_clip keeps it apart."""
    ours = "towers.text."
    pairs = [
        same(f"{ours}token_embedding.weight", f"{prefix}token_embedding.weight"),
        same(f"{ours}positional_embedding", f"{prefix}positional_embedding"),
        *transformer(model.text.layers, f"{ours}blocks", f"{prefix}transformer.resblocks"),
        *norm(f"{ours}norm", f"{prefix}ln_final"),
    ]
    if not model.project_text_bias:
        return [*pairs, turned("joint.text.weight", f"{prefix}text_projection")]
    return pairs + [same(f"joint.text.{p}", f"{prefix}text_projection.{p}") for p in ("weight", "bias")]


def vit(image: ImageTowerConfig) -> list[Pair]:
    """CLIP's ViT and its projection. Its patch embedding has no bias; ours goes into the positions."""
    ours, width, patch = "towers.image.", image.width, image.patch_size
    pairs = [
        shaped(f"{ours}stem.weight", "visual.conv1.weight", (width, -1), (width, 3, patch, patch)),
        shaped(f"{ours}class_token", "visual.class_embedding", (1, 1, width), (width,)),
        places(image, "visual.positional_embedding", flat=True, absorb=True),
        *transformer(image.layers[0], f"{ours}blocks", "visual.transformer.resblocks"),
        *norm(f"{ours}norm", "visual.ln_post"),
        turned("joint.image.weight", "visual.proj"),
    ]
    return pairs + (norm(f"{ours}pre_norm", "visual.ln_pre") if image.pre_norm else [])


def resnet(model: ModelConfig) -> list[Pair]:
    """CLIP's modified ResNet, whose parameters bear the same names here.

    The last map of its attention pool leads into the joint space already. Where ours leads to a feature that
    is then projected, both maps are multiplied on the way out; on the way in, the map is filled up with rows
    of zeros, which the projection leaves out again.
    """
    ours, last = "towers.image.", "attnpool.c_proj."
    names = resnet_names(model.image)
    if not model.project_image:
        return [same(ours + name, f"visual.{name}") for name in names]
    pairs = [same(ours + name, f"visual.{name}") for name in names if not name.startswith(last)]
    parts = [last + part for part in ("weight", "bias")]
    folded = (*(ours + part for part in parts), "joint.image.weight")
    rows = 16 * model.image.width
    return [*pairs, Pair(folded, tuple(f"visual.{part}" for part in parts), _filled(rows), _multiplied)]


def resnet_names(image: ImageTowerConfig) -> list[str]:
    """The tensors of a ResNet of either kind; they do not depend on its width, so a narrow one is asked."""
    return list(build_image(replace(image, width=2, heads=1)).state_dict())


def transformer(count: int, ours: str, theirs: str) -> list[Pair]:
    """Residual blocks, whose queries, keys and values are one matrix on both sides."""
    return blocks(count, *(same(f"{ours}.{{i}}.{a}", f"{theirs}.{{i}}.{b}") for a, b in _BLOCK.items()))


def norm(ours: str, theirs: str) -> list[Pair]:
    """A LayerNorm."""
    return [same(f"{ours}.{part}", f"{theirs}.{part}") for part in ("weight", "bias")]


def scale(bias: bool = False) -> list[Pair]:
    """The temperature and, with `bias`, the learned offset of the logits; scalars, or of one number."""
    names = ["logit_scale", "logit_bias"] if bias else ["logit_scale"]
    return [shaped(f"joint.{name}", name, (1,), ()) for name in names]


def _filled(rows: int) -> Change:
    def inward(parts: Sequence[Tensor]) -> Sequence[Tensor]:
        weight, bias = parts
        more = rows - len(weight)
        return [
            F.pad(weight, (0, 0, 0, more)),
            F.pad(bias, (0, more)),
            torch.eye(len(weight), rows, dtype=weight.dtype),
        ]

    return inward


def _multiplied(parts: Sequence[Tensor]) -> Sequence[Tensor]:
    weight, bias, projection = (part.double() for part in parts)
    return [(projection @ one).to(parts[0].dtype) for one in (weight, bias)]
