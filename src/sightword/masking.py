"""Which patches an encoder does not see, and pictures as rows of patches.

A row's mask is a pure function of (seed, masking, sample id, epoch): it does not depend on the batch that
the sample happens to be in, nor on workers and ranks. Every row hides equally many, so that hidden tokens
can be dropped and the rest stays a rectangular tensor.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from sightword.errors import SightwordError
from sightword.randomness import stream, uniform
from sightword.words import ImageFacts, Masking

_BLOCKS = 32  # drawn for a row; far more than a row needs unless nearly everything is hidden
_SMALLEST = 16  # patches in a block, BEiT's
_NARROWEST = 0.3  # a block's aspect ratio lies between this and its inverse, BEiT's


def count_hidden(masking: Masking, positions: int) -> int:
    """How many of `positions` are hidden in every row; at least one position stays visible.

    MAE's code keeps int(n * (1 - ratio)). So does this, except that a product that is whole but for
    rounding (100 * (1 - 0.9) = 9.999...) counts as whole.
    """
    assert 0 < masking.ratio < 1, masking
    return positions - max(1, math.floor(positions * (1 - masking.ratio) + 1e-9))


def hidden(
    masking: Masking, grid: tuple[int, int], seed: int, ids: npt.ArrayLike, epochs: npt.ArrayLike | int
) -> Bool[Tensor, "b n"]:
    """True where a position of the grid is hidden; positions are counted along rows, n = down x across.

    `uniform` is MAE's per-sample shuffle (He et al. 2022, arXiv 2111.06377, section 3, "Masking"): the
    positions with the smallest numbers stay. `block` is BEiT's (Bao et al. 2022, arXiv 2106.08254,
    algorithm 1): rectangles until enough is hidden. Deviation: BEiT's count varies a little from picture
    to picture; here the last rectangle is cut off, along its rows, where the count is reached.

    Args:
        masking: kind, ratio, and `draw` to tell apart several masks of one sample.
        grid: positions down and across. For captions (1, length), where length must be the context and
            not the batch's longest caption, or masks would depend on the batch.
        seed: the run's seed.
        ids: global sample ids, shape (b,).
        epochs: the epoch in which each sample is seen, or one for all.
    """
    positions = grid[0] * grid[1]
    count = count_hidden(masking, positions)
    purpose = stream("mask", masking)
    noise = uniform(seed, purpose, ids, epochs, positions + 4 * _BLOCKS)
    order = noise[:, :positions]
    if masking.kind == "block":
        blocks = noise[:, positions:].reshape(-1, _BLOCKS, 4)
        order = order + _in_blocks(blocks, grid, count)  # whatever blocks chose comes before the rest
    rows = np.zeros(order.shape, dtype=bool)
    last = np.argsort(order, axis=1, kind="stable")[:, positions - count :]
    np.put_along_axis(rows, last, True, axis=1)
    return torch.from_numpy(rows)


def dropping(share: float, image: ImageFacts, asker: str) -> Masking | None:
    """FLIP's patch dropping: a share of the patches, drawn uniformly, that a tower does not see.

    Li et al. 2023 (arXiv 2212.00794), section 3.

    Args:
        share: 0 for none.
        image: facts of the tower.
        asker: the objective, named in the error.

    Raises:
        SightwordError: the tower cannot hide patches, or the share hides none or is not one.
    """
    if share == 0:
        return None
    if not image.maskable:
        raise SightwordError(
            f"{asker}(drop={share}) needs a ViT with a patch stem, and this image tower cannot hide patches; "
            "try --model vit-tiny, vit-s16 or vit-b16, or leave drop at 0"
        )
    masking = Masking(share)
    if not 0 < share < 1 or count_hidden(masking, image.grid[0] * image.grid[1]) == 0:
        raise SightwordError(
            f"{asker}(drop={share}) does not hide some of {image.grid[0]} x {image.grid[1]} patches; "
            "try a share between 0 and 1, such as 0.5, or 0 for none"
        )
    return masking


def _in_blocks(draws: npt.NDArray[np.float64], grid: tuple[int, int], count: int) -> npt.NDArray[np.bool_]:
    """Rectangles until `count` positions are covered, or all were used (then fewer are covered)."""
    down, across = np.arange(grid[0]), np.arange(grid[1])
    covered = np.zeros((len(draws), *grid), dtype=bool)
    for size, shape, top, left in np.moveaxis(draws, 0, 2):
        missing = count - covered.sum(axis=(1, 2))
        smallest = np.minimum(_SMALLEST, missing)
        area = smallest + size * (missing - smallest)
        ratio = np.exp((2 * shape - 1) * -math.log(_NARROWEST))  # log-uniform, as BEiT's code
        height = np.clip(np.rint(np.sqrt(area * ratio)), 1, grid[0])
        width = np.clip(np.rint(np.sqrt(area / ratio)), 1, grid[1])
        in_rows = _between(down, np.floor(top * (grid[0] - height + 1)), height)
        in_columns = _between(across, np.floor(left * (grid[1] - width + 1)), width)
        new = in_rows[:, :, None] & in_columns[:, None, :] & ~covered
        affordable = new.reshape(len(new), -1).cumsum(axis=1).reshape(new.shape) <= missing[:, None, None]
        covered |= new & affordable
    return covered.reshape(len(draws), -1)


def _between(
    positions: npt.NDArray[np.int64], start: npt.NDArray[np.float64], length: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (positions >= start[:, None]) & (positions < (start + length)[:, None])
    return inside


def patchify(images: Shaped[Tensor, "b c h w"], patch: int) -> Shaped[Tensor, "b n d"]:
    """Pictures as rows of patches, row-major; a patch is patch x patch x c values, channels last as MAE's."""
    b, c, h, w = images.shape
    assert h % patch == w % patch == 0, f"{h} x {w} pixels are not whole patches of {patch}"
    tiles = images.reshape(b, c, h // patch, patch, w // patch, patch)
    return tiles.permute(0, 2, 4, 3, 5, 1).reshape(b, (h // patch) * (w // patch), patch * patch * c)


def unpatchify(
    patches: Shaped[Tensor, "b n d"], grid: tuple[int, int], patch: int
) -> Shaped[Tensor, "b c h w"]:
    """The inverse of `patchify`; `grid` is patches down and across."""
    b, n, d = patches.shape
    assert n == grid[0] * grid[1], (patches.shape, grid)
    c = d // (patch * patch)
    tiles = patches.reshape(b, *grid, patch, patch, c)
    return tiles.permute(0, 5, 1, 3, 2, 4).reshape(b, c, grid[0] * patch, grid[1] * patch)
