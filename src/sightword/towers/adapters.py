"""Low-rank adapters in a tower's linear layers, by the `peft` library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.towers.base import ImageTower, TextTower
from sightword.towers.blocks import AttentionPool
from sightword.towers.borrowing import library
from sightword.towers.locking import freeze
from sightword.towers.modified_resnet import AttentionPool2d

# peft's names: of the layer that is adapted, of all adapters, and of the two matrices of one.
_BASE, _ADAPTER, _DOWN, _UP = ".base_layer.", ".lora_", ".lora_A.default.weight", ".lora_B.default.weight"


def adapt(tower: ImageTower | TextTower, rank: int, alpha: float) -> None:
    """Let W + alpha / rank B A stand for each linear layer W of a tower's blocks (LoRA, arXiv 2106.09685).

    A begins as torch's own linear layers do, from torch's global generator, and B at zero, so that nothing
    changes before the first step. Only A and B learn: embeddings, norms, biases and W are as they were, and
    batch norms keep their statistics.

    Args:
        tower: changed in place.
        rank: of B A.
        alpha: what adapters say counts alpha / rank.

    Raises:
        SightwordError: peft cannot be imported, or the tower's blocks have no linear layers.
    """
    wanted = _linear(tower)
    if not wanted:
        raise SightwordError(
            "this tower has no linear layers in its blocks for --lora-rank to adapt; adapt transformers, or"
            " train this one whole, or its last stages by --lock-image --lock-image-unlocked-groups"
        )
    peft: Any = library("peft", "--lora-rank", "lora")
    freeze(tower)
    asked = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=wanted, lora_dropout=0.0, bias="none")
    peft.inject_adapter_in_model(asked, tower)


def plain(module: nn.Module) -> dict[str, Tensor]:
    """The state dict of a module with its adapters merged into the weights; see `merge`."""
    return merge(module.state_dict(), factor_of(module))


def factor_of(module: nn.Module) -> float:
    """How much the adapters in a module count: alpha / rank, the same for all; 1 where there are none."""
    found = [m.scaling for m in module.modules() if hasattr(m, "lora_A") and hasattr(m, "scaling")]
    return float(next(iter(found[0].values()))) if found else 1.0  # type: ignore[operator]


@torch.no_grad()
def merge(tensors: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
    """Tensors with adapters among them as the tensors of the model without any: W + factor B A.

    Args:
        tensors: of a state dict, by peft's names.
        factor: of `factor_of`.

    Returns:
        By the names that a model without adapters gives them. What was not adapted is the same tensor; sums
        are computed in float64 and have the weights' own precision.
    """
    found = dict[str, Tensor]()
    for name, tensor in tensors.items():
        layer, base, kind = name.rpartition(_BASE)
        if _ADAPTER in name:
            continue
        down = tensors.get(f"{layer}{_DOWN}") if base and kind == "weight" else None
        if down is not None:
            up = tensors[f"{layer}{_UP}"]
            tensor = (tensor.double() + factor * (up.double() @ down.double())).to(tensor.dtype)
        found[f"{layer}.{kind}" if base else name] = tensor
    return found


def _linear(tower: ImageTower | TextTower) -> list[str]:
    """Linear layers of the groups, but for those that pool."""
    inside = {m for group in tower.groups for part in group for m in part.modules()}
    pools = [m for m in tower.modules() if isinstance(m, AttentionPool | AttentionPool2d)]
    pooling = {m for pool in pools for m in pool.modules()}
    return [
        name
        for name, module in tower.named_modules()
        if type(module) is nn.Linear and module in inside and module not in pooling
    ]
