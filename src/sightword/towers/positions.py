"""Where a patch lies: fixed 2-D sine-cosine embeddings, learned ones, both for any grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def sincos_2d(width: int, grid: tuple[int, int]) -> Float[Tensor, "n width"]:
    """Sines and cosines of column and row, row-major.

    The first half of the width encodes the column and the second the row, each as `width / 4` sines, then as
    many cosines, of frequencies 10000^(-i / (width / 4)): MAE's released code (arXiv 2111.06377).
    """
    assert width % 4 == 0, width
    frequencies = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequencies for axis in (columns, rows)]
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], dim=1).float()


def sincos_1d(width: int, length: int) -> Float[Tensor, "length width"]:
    """Sines, then cosines, of a position, of frequencies 10000^(-i / (width / 2)) (arXiv 1706.03762, 3.5)."""
    assert width % 2 == 0, width
    frequencies = 10000.0 ** -(torch.arange(width // 2, dtype=torch.float64) / (width // 2))
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def resized(
    positions: Float[Tensor, "old width"], grid: tuple[int, int], wanted: tuple[int, int]
) -> Float[Tensor, "new width"]:
    """Row-major embeddings of one grid as those of another, bicubically; the same grid's are left alone."""
    if grid == wanted:
        return positions
    picture = positions.float().T.reshape(1, -1, *grid)
    return F.interpolate(picture, wanted, mode="bicubic", antialias=True)[0].flatten(1).T


class LearnedPositions(nn.Module):
    """One learned embedding for each position of a grid; for another grid they are resized bicubically."""

    def __init__(self, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.weight = nn.Parameter(torch.empty(grid[0] * grid[1], width))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "n width"]:
        """The embeddings of a grid, row-major."""
        return resized(self.weight, self.grid, grid)


class FixedPositions(nn.Module):
    """Sine-cosine embeddings of a grid; they are not learned and not saved."""

    weight: Tensor

    def __init__(self, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.width = width
        self.register_buffer("weight", sincos_2d(width, grid), persistent=False)

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "n width"]:
        """The embeddings of a grid, row-major."""
        return self.weight if grid == self.grid else sincos_2d(self.width, grid).to(self.weight)
