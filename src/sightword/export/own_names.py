"""Our tensors, as the tables of `sightword.weights` want them."""

from __future__ import annotations

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


def left_out(model: Model) -> list[str]:
    """Parts that no export but our own holds."""
    names = model.encoders.state_dict()
    found = {name for name in names if name.endswith(_MASK)}
    return sorted(found | {"towers.joint" for name in names if name.startswith("towers.joint.")})
