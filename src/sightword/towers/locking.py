"""Towers that keep their weights, and compute what they computed, while the rest learns."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightword.errors import SightwordError
from sightword.towers.base import ImageTower, TextTower

_STILL = "keeps_still"  # an attribute of modules, so that copies of them keep still as well


def lock(tower: ImageTower | TextTower, unlocked: int = 0) -> None:
    """Keep a tower's weights, embeddings, positions and mask token included (LiT, arXiv 2111.07991).

    What is locked has no gradient and stays in evaluation mode while the rest trains: batch norms use and
    keep their running statistics, and no path is dropped. See `keep_still`.

    Args:
        tower: locked in place.
        unlocked: how many of its last `groups` go on to learn.

    Raises:
        SightwordError: it has fewer groups.
    """
    groups = tower.groups
    if not 0 <= unlocked <= len(groups):
        raise SightwordError(
            f"{unlocked} groups of a tower are to stay unlocked, and it has {len(groups)} (blocks of a"
            f" transformer, or stages of a ResNet); give 0 to {len(groups)}, or do not lock it"
        )
    free = [module for group in groups[len(groups) - unlocked :] for module in group]
    tower.requires_grad_(False)
    for module in free:
        module.requires_grad_(True)
    learning = {inner for module in free for inner in module.modules()}
    _hold(tower, [module for module in tower.modules() if module not in learning])


def freeze(tower: ImageTower | TextTower) -> None:
    """Keep a tower's weights and its running statistics; paths are dropped as ever, for adapters to learn."""
    tower.requires_grad_(False)
    _hold(tower, [module for module in tower.modules() if isinstance(module, _BatchNorm)])


def keep_still(model: nn.Module) -> None:
    """Put what is locked in evaluation mode again; to be called after `model.train()`."""
    for module in model.modules():
        if getattr(module, _STILL, False):
            module.training = False


def learns(module: nn.Module) -> bool:
    """Whether any weight of it has a gradient."""
    return any(parameter.requires_grad for parameter in module.parameters())


def encoding(module: nn.Module) -> torch.set_grad_enabled:
    """The context to encode with a module in: of what does not learn nothing is kept for a backward pass."""
    return torch.set_grad_enabled(torch.is_grad_enabled() and learns(module))


def _hold(tower: ImageTower | TextTower, modules: list[nn.Module]) -> None:
    for module in modules:
        object.__setattr__(module, _STILL, True)  # past nn.Module's own, which is for tensors and modules
        module.training = False
    if isinstance(tower, ImageTower):
        tower.mixes_batch = tower.mixes_batch and any(
            isinstance(module, _BatchNorm) and module.training for module in tower.modules()
        )
