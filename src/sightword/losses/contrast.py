"""What belongs together meets, all else parts: contrast of pairs, of views, and against slow copies.

Each loss comes with the share of local rows whose right answer has the largest logit, because both need the
same logits. From `LARGE` rows of all ranks on, logits are made in pieces and never stand in memory at once:
value, gradient and shares are the same up to rounding (see `tiles` for one process, `strips` for several).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sightword.losses import strips, tiles, whole
from sightword.losses.numbers import Scale, own_columns, sound, unit
from sightword.losses.units import joined_units

LARGE = 2048  # rows of all ranks; from there on pieces are as fast or faster (bench/contrast.py)


@dataclass(frozen=True)
class Scored:
    """A loss, the mean over local rows; and shares of local rows that are right, without gradient."""

    loss: Float[Tensor, ""]
    right: tuple[Float[Tensor, ""], ...]


def info_nce(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "b d"],
    scale: Scale,
    images: Float[Tensor, "n d"] | None = None,
    texts: Float[Tensor, "n d"] | None = None,
    offset: int = 0,
) -> Float[Tensor, ""]:
    """The loss of `scored_info_nce` alone."""
    return scored_info_nce(image, text, scale, images, texts, offset).loss


def scored_info_nce(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "b d"],
    scale: Scale,
    images: Float[Tensor, "n d"] | None = None,
    texts: Float[Tensor, "n d"] | None = None,
    offset: int = 0,
) -> Scored:
    """CLIP's symmetric contrast: the mean of the image-to-text and the text-to-image cross-entropy.

    Radford et al. 2021 (arXiv 2103.00020), figure 3. Shares: of pictures, of captions.

    Args:
        image, text: L2-normalised features; row i of one belongs to row i of the other.
        scale: exp(logit_scale), the inverse temperature.
        images, texts: features of all ranks, of which these rows are `offset` to `offset + b`.
    """
    images, texts = image if images is None else images, text if texts is None else texts
    with torch.autocast(image.device.type, enabled=False):
        if len(images) < LARGE:
            to_text, to_image = whole.info_nce_logits(image, text, scale, images, texts)
            right = whole.accuracy(to_text, offset), whole.accuracy(to_image, offset)
            return Scored(whole.both_ways(to_text, to_image, offset), right)
        if images is image and texts is text:
            loss, *found = tiles.pairs_tiled(sound(image), sound(text), scale)
            return Scored(loss, _shares(*found))
        first, of_pictures = strips.one_way(scale * sound(image), sound(texts), offset)
        second, of_captions = strips.one_way(scale * sound(text), sound(images), offset)
        return Scored((first + second) / 2, _shares(of_pictures, of_captions))


def nt_xent(
    a: Float[Tensor, "b d"],
    b: Float[Tensor, "b d"],
    temperature: float,
    all_a: Float[Tensor, "n d"] | None = None,
    all_b: Float[Tensor, "n d"] | None = None,
    offset: int = 0,
) -> Float[Tensor, ""]:
    """The loss of `scored_nt_xent` alone."""
    return scored_nt_xent(a, b, temperature, all_a, all_b, offset).loss


def scored_nt_xent(
    a: Float[Tensor, "b d"],
    b: Float[Tensor, "b d"],
    temperature: float,
    all_a: Float[Tensor, "n d"] | None = None,
    all_b: Float[Tensor, "n d"] | None = None,
    offset: int = 0,
) -> Scored:
    """SimCLR's contrast of two views: each of the 2n views against all others but itself.

    Chen et al. 2020 (arXiv 2002.05709), equation 1 and algorithm 1. Share: of first views that find their
    second.

    Args:
        a, b: projected features of the first and the second view; L2-normalised here.
        temperature: the softmax's.
        all_a, all_b: features of all ranks, of which these rows are `offset` to `offset + b`.
    """
    all_a, all_b = a if all_a is None else all_a, b if all_b is None else all_b
    with torch.autocast(a.device.type, enabled=False):
        if len(all_a) < LARGE:
            first, second = whole.nt_xent_logits(a, b, temperature, all_a, all_b, offset)
            return Scored(whole.both_ways(first, second, offset), (whole.accuracy(first, offset),))
        n, alone = len(all_a), all_a is a and all_b is b
        # Of equal logits a first view meets other views first.
        every = joined_units(temperature**-0.5 if alone else 1.0, all_b, all_a)
        if alone:
            loss, right = tiles.views_tiled(every)
            return Scored(loss, _shares(right[n:]))
        first, right = strips.one_way(unit(a) / temperature, every, offset, hidden=n + offset)
        second, _ = strips.one_way(unit(b) / temperature, every, n + offset, hidden=offset)
        return Scored((first + second) / 2, _shares(right))


def sigmoid_pairs(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "b d"],
    scale: Scale,
    bias: Scale,
    texts: Float[Tensor, "n d"] | None = None,
    offset: int = 0,
) -> Float[Tensor, ""]:
    """SigLIP: every pair of a picture and a caption is one yes-or-no question.

    Zhai et al. 2023 (arXiv 2303.15343), algorithm 1: summed over all pairs, divided by the rows.

    Args:
        image, text: L2-normalised features; row i of one belongs to row i of the other.
        scale: exp(t'), the inverse temperature.
        bias: added to every logit.
        texts: captions of all ranks, of which these rows are `offset` to `offset + b`.
    """
    return _sigmoid(image, text if texts is None else texts, scale, bias, offset)[0]


def scored_sigmoid_pairs(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "b d"],
    scale: Scale,
    bias: Scale,
    images: Float[Tensor, "n d"] | None = None,
    texts: Float[Tensor, "n d"] | None = None,
    offset: int = 0,
) -> Scored:
    """The loss of `sigmoid_pairs`. Shares: of pictures, of captions; `images` serve to count alone."""
    images, texts = image if images is None else images, text if texts is None else texts
    loss, of_pictures = _sigmoid(image, texts, scale, bias, offset)
    with torch.no_grad(), torch.autocast(image.device.type, enabled=False):
        if len(images) < LARGE:
            return Scored(loss, (of_pictures, whole.accuracy(text @ images.T, offset)))
        return Scored(loss, (of_pictures, *_shares(strips.nearest(sound(text), sound(images), offset))))


def momentum_contrast(
    query: Float[Tensor, "b d"], keys: Float[Tensor, "n d"], temperature: float, offset: int = 0
) -> Float[Tensor, ""]:
    """The loss of `scored_momentum_contrast` alone."""
    return scored_momentum_contrast(query, keys, temperature, offset).loss


def scored_momentum_contrast(
    query: Float[Tensor, "b d"], keys: Float[Tensor, "n d"], temperature: float, offset: int = 0
) -> Scored:
    """MoCo v3's contrast in one direction: 2 T cross-entropy; its loss is the sum of both directions.

    Chen, Xie and He 2021 (arXiv 2104.02057), equation 1 and algorithm 1, `ctr`. With the factor 2 T the same
    learning rate serves at more temperatures (section 5, "Loss"). Share: of queries that find their key.

    Args:
        query: answers of the predictor; L2-normalised here.
        keys: answers of the momentum projector for the other view, of all ranks, as they are (detach them);
            L2-normalised here. The right key of row i is number `offset + i`.
        temperature: T, the softmax's.
    """
    with torch.autocast(query.device.type, enabled=False):
        if len(keys) < LARGE:
            logits = whole.key_logits(query, keys, temperature)
            loss = F.cross_entropy(logits, own_columns(logits, offset))
            return Scored(2 * temperature * loss, (whole.accuracy(logits, offset),))
        loss, right = strips.one_way(unit(query) / temperature, unit(keys), offset)
        return Scored(2 * temperature * loss, _shares(right))


def _sigmoid(image: Tensor, texts: Tensor, scale: Scale, bias: Scale, offset: int) -> tuple[Tensor, Tensor]:
    """The loss, and the share of pictures whose own caption has the largest logit."""
    with torch.autocast(image.device.type, enabled=False):
        if len(texts) < LARGE:
            logits = whole.sigmoid_logits(image, texts, scale, bias)
            return whole.right_or_wrong(logits, offset), whole.accuracy(logits, offset)
        loss, right = strips.yes_or_no(scale * sound(image), sound(texts), bias, offset)
        return loss, right.float().mean()


def _shares(*right: Tensor) -> tuple[Tensor, ...]:
    return tuple(each.float().mean() for each in right)
