"""Contrast with all logits at once: the formulas as they are written, for batches that are not large."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sightword.losses.numbers import Scale, own_columns, sound, unit


def info_nce_logits(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "b d"],
    scale: Scale,
    images: Float[Tensor, "n d"],
    texts: Float[Tensor, "n d"],
) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
    """Each picture against all captions, and each caption against all pictures."""
    images, texts = sound(images), sound(texts)
    return scale * sound(image) @ texts.T, scale * sound(text) @ images.T


def nt_xent_logits(
    a: Float[Tensor, "b d"],
    b: Float[Tensor, "b d"],
    temperature: float,
    all_a: Float[Tensor, "n d"],
    all_b: Float[Tensor, "n d"],
    offset: int,
) -> tuple[Float[Tensor, "b twice_n"], Float[Tensor, "b twice_n"]]:
    """For each view of the local pictures: the other view of all pictures, then its own view of all.

    A view's similarity with itself is -inf.
    """
    every_a, every_b = unit(all_a), unit(all_b)  # in one process those of our rows, too
    a = (every_a if all_a is a else unit(a)) / temperature
    b = (every_b if all_b is b else unit(b)) / temperature
    itself = F.one_hot(own_columns(a, offset), len(every_a)).bool()
    own_a = (a @ every_a.T).masked_fill(itself, -torch.inf)
    own_b = (b @ every_b.T).masked_fill(itself, -torch.inf)
    return torch.cat([a @ every_b.T, own_a], dim=1), torch.cat([b @ every_a.T, own_b], dim=1)


def sigmoid_logits(
    image: Float[Tensor, "b d"], texts: Float[Tensor, "n d"], scale: Scale, bias: Scale
) -> Float[Tensor, "b n"]:
    """Each picture with each caption of all ranks."""
    return scale * sound(image) @ sound(texts).T + bias


def key_logits(
    query: Float[Tensor, "b d"], keys: Float[Tensor, "n d"], temperature: float
) -> Float[Tensor, "b n"]:
    """The cosine of each local query with every key of all ranks, over the temperature."""
    return unit(query) @ unit(keys).T / temperature


def both_ways(
    first: Float[Tensor, "b n"], second: Float[Tensor, "b n"], offset: int = 0
) -> Float[Tensor, ""]:
    """The mean of two cross-entropies whose right answer for row i is column `offset + i`."""
    labels = own_columns(first, offset)
    return (F.cross_entropy(first, labels) + F.cross_entropy(second, labels)) / 2


def right_or_wrong(logits: Float[Tensor, "b n"], offset: int = 0) -> Float[Tensor, ""]:
    """Every logit is a yes-or-no question; row i's only yes is column `offset + i`. Summed, over the rows."""
    sign = 2 * F.one_hot(own_columns(logits, offset), logits.shape[1]) - 1
    return -F.logsigmoid(sign * logits).sum() / len(logits)


def accuracy(logits: Float[Tensor, "b n"], offset: int = 0) -> Float[Tensor, ""]:
    """The share of rows whose largest logit is in column `offset + row`; without gradient."""
    return (logits.detach().argmax(dim=1) == own_columns(logits, offset)).float().mean()
