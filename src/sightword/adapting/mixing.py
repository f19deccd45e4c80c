"""Weights between two models, (1 - alpha) of one and alpha of the other (WiSE-FT, arXiv 2109.01903).

Everything in the encoders' state is mixed alike, as the paper's released code (`src/wise_ft.py`) does:
weights, biases, the logarithm of the temperature, and the running means and variances of batch norms.
Those of the mixture itself would be a little other, and could only be measured on pictures. Counts, which are
whole numbers, are the later model's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from sightword.errors import SightwordError

Tensors = Mapping[str, Tensor]


def mixture(start: Tensors, end: Tensors, alpha: float) -> dict[str, Tensor]:
    """The weights at `alpha` of the way; at 0 and 1 they are the one and the other to the bit.

    Args:
        start, end: of the same encoders, by the same names.
        alpha: 0 to 1.

    Raises:
        SightwordError: they are of different models, or alpha is no share.
    """
    if not 0 <= alpha <= 1:
        raise SightwordError(f"alpha is {alpha:g}; weights are mixed with shares from 0 to 1")
    _demand_alike(start, end)
    return {name: _between(tensor, end[name], alpha) for name, tensor in start.items()}


def hash_of(tensors: Tensors) -> str:
    """Names weights by what they are, whatever else their file says."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:16]


def _between(start: Tensor, end: Tensor, alpha: float) -> Tensor:
    if not start.is_floating_point():
        return (end if alpha > 0 else start).clone()
    return torch.lerp(start.double(), end.double(), alpha).to(start.dtype)


def _demand_alike(start: Tensors, end: Tensors) -> None:
    names = sorted(start.keys() ^ end.keys())
    names += [name for name in sorted(start.keys() & end.keys()) if start[name].shape != end[name].shape]
    if names:
        raise SightwordError(
            f"the two models cannot be mixed: {len(names)} tensors are not in both or differ in shape, such"
            " as"
            f" {names[0]}; give weights of the same towers"
        )
