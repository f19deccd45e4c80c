"""Contrast of everything with everything in one process, tile by tile: the n x n logits never exist.

Where all rows are here, one product serves both directions: a tile of logits is a part of the rows' softmax
and of the columns'. The way there visits every tile once and keeps, for each row and column, a running
maximum and a running sum (online softmax: Milakov and Gimelshein 2018, arXiv 1805.02867, algorithm 3); the
way back makes every tile again, now that the log-sum-exps are known (as Inf-CL does for CLIP's loss, Cheng et
al. 2024, arXiv 2410.17243, section 3.1). Memory is O(n d + tile^2), the gradient is exact.

Products of n x n x d: 1 there and 3 back, where InfoNCE with kept logits takes 2 and 4. NT-Xent's logits are
symmetric, so that the tiles on and above the diagonal are enough: half as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from sightword.losses.numbers import Scale

CHUNK, DEVICE_CHUNK = 1024, 4096  # rows of a tile: a core's cache holds the first, a GPU wants large pieces


def chunk_for(x: Tensor) -> int:
    """How many rows a tile has on this device."""
    return CHUNK if x.device.type == "cpu" else DEVICE_CHUNK


def pieces(n: int, chunk: int, start: int = 0) -> list[slice]:
    """n rows from `start` on, cut into pieces of `chunk` rows; the last may be shorter."""
    return [slice(at, min(at + chunk, start + n)) for at in range(start, start + n, chunk)]


def add_product(to: Float[Tensor, "a c"], one: Float[Tensor, "a b"], other: Float[Tensor, "b c"]) -> None:
    """Add a product in place; `addmm_` would do the same, but torch's counter of FLOPs does not see it."""
    torch.addmm(to, one, other, out=to)


def pairs_tiled(
    x: Float[Tensor, "n d"], y: Float[Tensor, "n d"], scale: Scale, chunk: int | None = None
) -> tuple[Float[Tensor, ""], Bool[Tensor, " n"], Bool[Tensor, " n"]]:
    """Symmetric InfoNCE of logits scale x y^T, whose right answers stand on the diagonal.

    Args:
        x, y: the features of either side.
        scale: of the logits.
        chunk: rows of a tile.

    Returns:
        the mean of both cross-entropies; for each row, and for each column, whether its right answer is the
        first of the largest.
    """
    cut = pieces(len(x), chunk or chunk_for(x))
    scale = torch.as_tensor(scale, dtype=x.dtype, device=x.device)
    loss, rows, columns = _BothWays.apply(x, y, scale, _square(cut))
    return loss, rows, columns


def views_tiled(
    z: Float[Tensor, "twice_n d"], chunk: int | None = None
) -> tuple[Float[Tensor, ""], Bool[Tensor, " twice_n"]]:
    """NT-Xent of logits z z^T without their diagonal: row i and row n + i are two views of one picture.

    Args:
        z: features of length 1 / sqrt(temperature).
        chunk: rows of a tile.

    Returns:
        the mean cross-entropy; for each row whether its right answer is the first of the largest.
    """
    half, chunk = len(z) // 2, chunk or chunk_for(z)
    cut = pieces(half, chunk) + pieces(half, chunk, start=half)
    loss, rows, _ = _BothWays.apply(z, None, None, _triangle(cut))
    return loss, rows


@dataclass(frozen=True)
class _Tile:
    """Some rows against some columns.

    ways: 1 scores the rows, 0 the columns, as the dimension that is summed over.
    later: for each way, whether what is met comes after the right answers (0: the right answers are here).
    hidden: on the diagonal everybody meets itself.
    """

    rows: slice
    columns: slice
    ways: tuple[int, ...]
    later: tuple[int, ...]
    hidden: bool = False

    @property
    def own(self) -> bool:
        return self.later[0] == 0

    def logits(self, x: Tensor, y: Tensor, scale: Tensor | None) -> Tensor:
        rows = x[self.rows] if scale is None else scale * x[self.rows]
        logits = rows @ y[self.columns].T
        return logits.fill_diagonal_(-torch.inf) if self.hidden else logits

    def met(self, way: int) -> slice:
        return self.rows if way else self.columns


def _square(cut: Sequence[slice]) -> list[_Tile]:
    """Every tile, those with right answers first."""
    places = [(i, j) for i in range(len(cut)) for j in range(len(cut))]
    return [
        _Tile(cut[i], cut[j], (1, 0), (j - i, i - j)) for i, j in sorted(places, key=lambda p: p[0] != p[1])
    ]


def _triangle(cut: Sequence[slice]) -> list[_Tile]:
    """The tiles on and above the diagonal, those with right answers first."""
    half = len(cut) // 2
    places = [(i, j) for i in range(len(cut)) for j in range(i, len(cut))]
    tiles = []
    for i, j in sorted(places, key=lambda p: p[1] - p[0] != half):
        ways = (1,) if i == j else (1, 0)
        later = (j - _partner(i, half), i - _partner(j, half))
        tiles.append(_Tile(cut[i], cut[j], ways, later, hidden=i == j))
    return tiles


def _partner(i: int, half: int) -> int:
    return i + half if i < half else i - half


class _Standing:
    """What is known of each row's softmax so far: its maximum, its sum, its right answer's logit.

    A row is right when no logit before its right answer's is as large, and none after it larger: what argmax
    would say of the whole row. Tiles that hold right answers must come first.
    """

    def __init__(self, features: Tensor) -> None:
        self.top = features.new_full((len(features),), -torch.inf)
        self.total, self.own = torch.zeros_like(self.top), torch.zeros_like(self.top)
        self.right = torch.ones_like(self.top, dtype=torch.bool)

    def meet(self, logits: Tensor, at: slice, way: int, later: int) -> None:
        """Take in a tile of logits: of the rows `at`, or, with way 0, of these columns."""
        best = logits.amax(dim=way)
        if later == 0:
            self.own[at] = logits.diagonal()
            self.right[at] = logits.argmax(dim=way) == torch.arange(len(best), device=best.device)
        else:
            self.right[at] &= best <= self.own[at] if later > 0 else best < self.own[at]
        top = torch.maximum(self.top[at], best)
        here = (logits - top.unsqueeze(way)).exp_().sum(dim=way)
        self.total[at] = self.total[at] * (self.top[at] - top).exp_() + here
        self.top[at] = top

    def log_sum_exp(self) -> Tensor:
        return self.top + self.total.log()


class _BothWays(torch.autograd.Function):
    """The mean cross-entropy of all rows and all columns; without `y` rows and columns are the same."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor | None, scale: Tensor | None, tiles: list[_Tile]
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = _Standing(x)
        columns = rows if y is None else _Standing(y)
        for tile in tiles:
            logits = tile.logits(x, x if y is None else y, scale)
            for way in tile.ways:
                (rows if way else columns).meet(logits, tile.met(way), way, tile.later[1 - way])
        sums = [side.log_sum_exp() for side in (rows, columns)]
        ctx.tiles = tiles
        ctx.save_for_backward(x, y, scale, *sums)
        loss = ((sums[0] - rows.own).mean() + (sums[1] - columns.own).mean()) / 2
        found = rows.right, (columns.right if y is not None else rows.right.clone())
        ctx.mark_non_differentiable(*found)
        return loss, *found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, y, scale, *sums = ctx.saved_tensors
        of_x, of_y, of_scale, _ = ctx.needs_input_grad
        to_x = torch.zeros_like(x) if of_x or of_scale else None
        if y is None:
            _pull_all(ctx.tiles, x, x, None, sums, to_x, to_x)
            return (None if to_x is None else to_x.mul_(gradient / len(x))), None, None, None
        to_y = torch.zeros_like(y) if of_y else None
        _pull_all(ctx.tiles, x, y, scale, sums, to_x, to_y)
        share = gradient / (2 * len(x))
        to_scale = None
        if of_scale and to_x is not None:  # all logits times their gradients, over the scale
            to_scale = (torch.vdot(x.flatten(), to_x.flatten()) * share).view_as(scale)
        found = [None if to is None else to.mul_(share * scale) for to in (to_x, to_y)]
        return (found[0] if of_x else None), found[1], to_scale, None


def _pull_all(
    tiles: Sequence[_Tile],
    x: Tensor,
    y: Tensor,
    scale: Tensor | None,
    sums: Sequence[Tensor],
    to_x: Tensor | None,
    to_y: Tensor | None,
) -> None:
    """Add what each tile pulls at x and at y to theirs: of the summed cross-entropies, over the scale."""
    with torch.autocast(x.device.type, enabled=False):
        for tile in tiles:
            pull = _pull(tile, tile.logits(x, y, scale), sums)
            if to_x is not None:
                add_product(to_x[tile.rows], pull, y[tile.columns])
            if to_y is not None:
                add_product(to_y[tile.columns], pull.T, x[tile.rows])


def _pull(tile: _Tile, logits: Tensor, sums: Sequence[Tensor]) -> Tensor:
    """The gradient of a tile's logits, of the summed cross-entropies; overwrites the logits."""
    rows, columns = sums
    pull = (logits - rows[tile.rows, None]).exp_()
    if 0 in tile.ways:
        pull.add_(logits.sub_(columns[tile.columns]).exp_())
    if tile.own:
        pull.diagonal().sub_(len(tile.ways))
    return pull
