"""Where patches lie, between our layout and the one tensor of others, and the bias that theirs may lack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.towers.positions import sincos_2d
from sightword.weights.renaming import Pair

_OURS = "towers.image."
_FAR = 1e-4  # of a fixed position from the formula's


def places(image: ImageTowerConfig, theirs: str, flat: bool = False, absorb: bool = False) -> Pair:
    """Positions of class token and patches, which others keep in one tensor, the class token's first.

    Ours may be fixed (sines and cosines); others keep those as numbers, zero for the class token, and
    reading them makes sure that they are the formula's.

    Args:
        image: a ViT. Without a class token theirs has a row for each patch alone.
        theirs: the tensor's name.
        flat: theirs is of shape (rows, width), and otherwise (1, rows, width).
        absorb: their patch embedding has no bias, so ours, which every patch gets, goes into the positions.
    """
    side = image.size // image.patch_size
    learned, class_token = image.positions == "learned", image.has_class_token
    biased = absorb and image.stem_bias
    names = [f"{_OURS}class_position"] if learned and class_token else []
    names += [f"{_OURS}positions.weight"] if learned else []
    names += [f"{_OURS}stem.bias"] if biased else []

    def inward(parts: Sequence[Tensor]) -> Sequence[Tensor]:
        rows = parts[0].reshape(-1, image.width)
        first, rest = rows[: int(class_token)], rows[int(class_token) :]
        if not learned:
            _demand_formula(first, rest, side, theirs)
        found = [first[None]] if learned and class_token else []
        found += [rest] if learned else []
        return found + ([rest.new_zeros(image.width)] if biased else [])

    def outward(parts: Sequence[Tensor]) -> Sequence[Tensor]:
        given = dict(zip(names, parts, strict=True))
        rest = given.get(f"{_OURS}positions.weight", sincos_2d(image.width, (side, side)))
        rest = rest + given[f"{_OURS}stem.bias"] if biased else rest
        first = given.get(f"{_OURS}class_position", rest.new_zeros(1, image.width)).reshape(1, -1)
        rows = torch.cat([first, rest]) if class_token else rest
        return [rows if flat else rows[None]]

    return Pair(tuple(names), (theirs,), inward, outward)


def _demand_formula(first: Tensor, rest: Tensor, side: int, name: str) -> None:
    wanted = sincos_2d(rest.shape[1], (side, side))
    if rest.shape != wanted.shape or bool(first.any()) or float((rest - wanted).abs().max()) > _FAR:
        raise SightwordError(
            f"{name} is not the fixed sines and cosines of a grid of {side} x {side}; these positions were"
            " learned: set model.image.positions=learned"
        )
