"""Weights by a formula of their names, so that a recording needs no room for them and no random numbers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]


def numbers(name: str, shape: Sequence[int]) -> Tensor:
    """What a tensor of this name is filled with: spread over -1 to 1 without a pattern, then scaled.

    Scales of norms lie around 1, matrices keep the size of what they multiply.
    """
    start = zlib.crc32(name.encode()) % 9973
    k = torch.arange(math.prod(shape), dtype=torch.float64) + start
    spread = ((k * 12.9898).sin() * 43758.5453).frac().reshape(tuple(shape))
    if name.endswith(("running_var", "norm.weight")) or (name.endswith("weight") and len(shape) == 1):
        return (1 + 0.3 * spread).float()
    if name.endswith("weight") and len(shape) > 1:
        return (spread * math.sqrt(3 / math.prod(shape[1:]))).float()
    return (0.3 * spread).float()


def filled(shapes: Mapping[str, Sequence[int]]) -> Tensors:
    """Tensors of these names and shapes."""
    return {name: numbers(name, shape) for name, shape in shapes.items()}


@torch.no_grad()
def fill(module: nn.Module, but: Sequence[str] = ()) -> None:
    """Give a module such numbers everywhere, but for whole numbers and the tensors that `but` names."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and name not in but:
            tensor.copy_(numbers(name, tensor.shape))


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Of floating-point tensors, in the form that JSON keeps."""
    return {name: list(tensor.shape) for name, tensor in tensors.items() if tensor.is_floating_point()}
