"""Our tensors, as the tables of `sightword.weights` want them."""

from __future__ import annotations

import torch
from torch import Tensor

from sightword.training.model import Model

IMAGE, TEXT, JOINT = "towers.image.", "towers.text.", "joint."
_MASK, _BIAS = ".mask_token", "joint.logit_bias"


def tensors_of(model: Model, *parts: str, bias: bool = True) -> dict[str, Tensor]:
    """The tensors whose names begin so; all of the towers and the joint space by default.

    Left out is what features do not hang on: tokens in place of what training hides, a trunk over both.

    Args:
        model: whose.
        parts: beginnings of names.
        bias: with the learned bias of the logits, where there is one.
    """
    wanted = parts or (IMAGE, TEXT, JOINT)
    return {
        name: tensor
        for name, tensor in model.encoders.state_dict().items()
        if name.startswith(wanted) and not name.endswith(_MASK) and (bias or name != _BIAS)
    }


def with_bias(model: Model) -> dict[str, Tensor]:
    """`tensors_of` for a form that always has a bias of the logits: 0 where the model has none."""
    return {_BIAS: torch.zeros(1)} | tensors_of(model)


def biased(model: Model) -> bool:
    """Whether the logits have a learned bias."""
    return model.encoders.joint is not None and model.encoders.joint.logit_bias is not None


def told_of_bias(model: Model, holds: bool) -> str:
    """What a user must know of the bias of the logits; "" for nothing.

    Args:
        model: a pair of encoders.
        holds: whether the form always has one; otherwise it never has.
    """
    if biased(model) == holds:
        return ""
    if holds:
        return "it was trained without a bias of the logits; the form has one, which is 0"
    return "left out: the learned bias of the logits, which the form does not have; features do not feel it"


def left_out(model: Model) -> list[str]:
    """Parts that no export but our own holds."""
    names = model.encoders.state_dict()
    found = {name for name in names if name.endswith(_MASK)}
    return sorted(found | {"towers.joint" for name in names if name.startswith("towers.joint.")})


def borrowed_of(model: Model) -> str:
    """The tower of another library that a model has, in words; "" when it has none."""
    image, text = model.config.model.image, model.config.model.text
    if image.kind in ("timm", "hf"):
        return f"its image tower is {image.kind}:{image.name}"
    return f"its text tower is {text.kind}:{text.name}" if model.has_text and text.kind == "hf" else ""
