"""The contrastive losses as their papers write them: loops over Python numbers, no code of the package."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def features(*shape: int, seed: int = 0, unit: bool = True) -> Tensor:
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x / x.norm(dim=-1, keepdim=True) if unit else x


def dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def cosine(x: list[float], y: list[float]) -> float:
    return dot(x, y) / math.sqrt(dot(x, x) * dot(y, y))


def twin_info_nce(image: list[list[float]], text: list[list[float]], scale: float) -> float:
    n = len(image)
    total = 0.0
    for i in range(n):
        right = math.exp(scale * dot(image[i], text[i]))
        total -= math.log(right / sum(math.exp(scale * dot(image[i], text[j])) for j in range(n))) / (2 * n)
        total -= math.log(right / sum(math.exp(scale * dot(image[j], text[i])) for j in range(n))) / (2 * n)
    return total


def twin_nt_xent(a: list[list[float]], b: list[list[float]], temperature: float) -> float:
    """Equation 1 with z interleaved: z[2k] and z[2k+1] are the two views of picture k."""
    z = [row for pair in zip(a, b, strict=True) for row in pair]
    total = 0.0
    for i in range(len(z)):
        partner = i + 1 if i % 2 == 0 else i - 1
        others = sum(math.exp(cosine(z[i], z[k]) / temperature) for k in range(len(z)) if k != i)
        total -= math.log(math.exp(cosine(z[i], z[partner]) / temperature) / others)
    return total / len(z)


def twin_sigmoid(image: list[list[float]], text: list[list[float]], scale: float, bias: float) -> float:
    total = 0.0
    for i, x in enumerate(image):
        for j, y in enumerate(text):
            z = 1 if i == j else -1
            total += math.log(1 / (1 + math.exp(z * (-scale * dot(x, y) - bias))))
    return -total / len(image)


def twin_momentum(
    queries: list[list[float]], keys: list[list[float]], temperature: float, offset: int
) -> float:
    """`ctr` of MoCo v3's algorithm 1: row i's right key is number offset + i."""
    total = 0.0
    for i, query in enumerate(queries):
        every = [math.exp(cosine(query, key) / temperature) for key in keys]
        total -= math.log(every[offset + i] / sum(every))
    return 2 * temperature * total / len(queries)
