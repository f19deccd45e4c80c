"""Mixup (Zhang et al., 1710.09412) and CutMix (Yun et al., 1905.04899) of a batch with itself, reversed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from scipy.special import betaincinv
from torch import Tensor

from sightword.randomness import stream, uniform


@dataclass(frozen=True)
class Mixing:
    """Every batch is mixed in one of the two ways (timm's "batch" mode, which BEiT and DeiT use).

    mixup, cutmix: alpha of Beta(alpha, alpha), from which a batch's share is drawn; 0 leaves one out.
    switch: probability of CutMix where both are in.
    """

    mixup: float = 0.8
    cutmix: float = 1.0
    switch: float = 0.5


@dataclass(frozen=True)
class Mix:
    """What is done to one batch.

    share: of a picture's own label; the reversed batch's label has the rest.
    box: top, left, bottom, right of what CutMix pastes; None for mixup.
    """

    share: float
    box: tuple[int, int, int, int] | None = None


def draw_mix(how: Mixing, shape: tuple[int, int], seed: int, index: int, epoch: int) -> Mix:
    """A pure function of (seed, epoch, the batch's place in it).

    CutMix (equation 2): a box with the picture's proportions and a share of 1 - lambda of its area around an
    even draw of a pixel, its sides rounded down to even numbers of pixels. Where it sticks out it is cut, and
    the label's share is that of what is left.
    """
    switch, share, down, across = uniform(seed, stream("mix", how), np.array([index]), epoch, 4)[0]
    cut = how.cutmix > 0 and (how.mixup <= 0 or switch < how.switch)
    alpha = how.cutmix if cut else how.mixup
    if alpha <= 0:
        return Mix(1.0)
    kept = float(betaincinv(alpha, alpha, share))
    if not cut:
        return Mix(kept)
    box = _box(shape, kept, float(down), float(across))
    area = (box[2] - box[0]) * (box[3] - box[1])
    return Mix(1.0 - area / (shape[0] * shape[1]), box)


def mixed(images: UInt8[Tensor, "b 3 h w"], mix: Mix) -> UInt8[Tensor, "b 3 h w"]:
    """The batch mixed with itself, reversed; mixup is rounded to whole levels."""
    if mix.box is not None:
        top, left, bottom, right = mix.box
        pasted = images.clone()
        pasted[:, :, top:bottom, left:right] = images.flip(0)[:, :, top:bottom, left:right]
        return pasted
    if mix.share == 1.0:
        return images
    own = images.float()
    return own.lerp(own.flip(0), 1.0 - mix.share).round_().to(torch.uint8)


def targets(
    labels: Int64[Tensor, " b"], classes: int, smoothing: float, mix: Mix
) -> Float[Tensor, "b {classes}"]:
    """Label probabilities: smoothed over all classes, the own and the reversed batch's by their shares."""
    own = F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes
    return own * mix.share + own.flip(0) * (1 - mix.share)


def _box(shape: tuple[int, int], kept: float, down: float, across: float) -> tuple[int, int, int, int]:
    height, width = shape
    ratio = (1.0 - kept) ** 0.5
    half_height, half_width = int(height * ratio) // 2, int(width * ratio) // 2
    row, column = int(down * height), int(across * width)
    top, bottom = max(0, row - half_height), min(height, row + half_height)
    left, right = max(0, column - half_width), min(width, column + half_width)
    return top, left, bottom, right
