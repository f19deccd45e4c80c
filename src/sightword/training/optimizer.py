"""AdamW with the papers' parameter groups, and the learning rate as a function of samples seen."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightword import distributed
from sightword.config import OptimizerConfig
from sightword.training.together.parallel import own_part, sharded

_NOT_ZERO = 1e-6  # as torch.nn.utils.clip_grad_norm_


def named_trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Every parameter that is trained, by its name; the order is that of the module tree."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW; no decay on biases, norms and whatever has fewer than two dimensions (SLIP's main.py)."""
    parameters = list(named_trainable(model).values())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.wd},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=config.lr, betas=config.betas, eps=config.eps, fused=True
    )


def learning_rate(config: OptimizerConfig, samples: int, total: int) -> float:
    """Linear warm-up from `lr_start` to `lr`, then a cosine to `lr_end` (SLIP's, appendix A).

    Deviation: counted in samples, so that the curve does not depend on the batch size. SLIP's code reaches
    `lr` at the last warm-up step, this the step after.

    Args:
        config: `warmup` is a share of training.
        samples: samples seen before this step.
        total: samples of the whole run.
    """
    warm = config.warmup * total
    if samples < warm:
        return config.lr_start + (config.lr - config.lr_start) * samples / warm
    done = min(1.0, (samples - warm) / max(1.0, total - warm))
    return config.lr_end + (config.lr - config.lr_end) * (1 + math.cos(math.pi * done)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def gradient_norm(model: nn.Module, clip: float) -> Float[Tensor, ""]:
    """The total L2 norm of the gradients, which are scaled down to `clip` when that is above zero.

    Returns:
        The norm before scaling, shape (); of the whole gradient where each process holds a piece.
    """
    gradients = [own_part(p.grad) for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if sharded(model):
        norm = (distributed.mean(norm.square()) * distributed.world_size()).sqrt()
    if clip > 0:
        factor = (clip / (norm + _NOT_ZERO)).clamp_max(1.0)
        if norm.device.type != "cpu" or factor != 1.0:  # elsewhere to ask is to wait
            torch._foreach_mul_(gradients, factor)
    return norm
