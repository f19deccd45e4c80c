"""Contrast of this process's rows with everybody's, strip by strip: the rows x n logits never exist.

A strip is some local rows against all n columns. A row's softmax is complete within its strip, so its
gradient is known at once and nothing is computed again: it is made on the way there, and only multiplied on
the way back (as in Liger's fused cross-entropy, Hsu et al. 2024, arXiv 2410.10989, section 3.2). Memory is
O(n d + strip n). Products of rows x n x d are as many as with kept logits: 3, or 2 where the columns carry no
gradient.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from sightword.losses.numbers import Scale
from sightword.losses.tiles import add_product, pieces

CHUNK = 512  # rows of a strip


def one_way(
    x: Float[Tensor, "b d"],
    y: Float[Tensor, "n d"],
    own: int,
    hidden: int | None = None,
    chunk: int | None = None,
) -> tuple[Float[Tensor, ""], Bool[Tensor, " b"]]:
    """The mean cross-entropy of logits x y^T, and for each row whether its right answer is the first largest.

    Args:
        x: the local rows, times the scale.
        y: the columns, of all ranks.
        own: the column of row 0's right answer; row i's is `own + i`.
        hidden: likewise a column that row 0 does not see.
        chunk: rows of a strip.
    """
    loss, right = _OneWay.apply(x, y, own, hidden, chunk or CHUNK)
    return loss, right


def yes_or_no(
    x: Float[Tensor, "b d"], y: Float[Tensor, "n d"], bias: Scale, own: int, chunk: int | None = None
) -> tuple[Float[Tensor, ""], Bool[Tensor, " b"]]:
    """Of logits x y^T + bias the sigmoid loss, summed and divided by the rows; the rest as `one_way`."""
    added = torch.as_tensor(bias, dtype=x.dtype, device=x.device)
    loss, right = _YesOrNo.apply(x, y, added, own, chunk or CHUNK)
    return loss, right


@torch.no_grad()
def nearest(
    x: Float[Tensor, "b d"], y: Float[Tensor, "n d"], own: int, chunk: int | None = None
) -> Bool[Tensor, " b"]:
    """For each row whether column `own + row` of x y^T is the first of the largest; without gradient."""
    found = [_rightly((x[at] @ y.T).argmax(dim=1), own + at.start) for at in pieces(len(x), chunk or CHUNK)]
    return torch.cat(found)


def _rightly(chosen: Tensor, own: int) -> Tensor:
    return chosen == torch.arange(own, own + len(chosen), device=chosen.device)


class _Gradients:
    """Of both sides, as strips add to them; sides that need none are left out."""

    def __init__(self, ctx: Any, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y
        self.to_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        self.to_y = torch.zeros_like(y) if ctx.needs_input_grad[1] else None

    def add(self, pull: Tensor, at: slice) -> None:
        """`pull` is the gradient of a strip's logits."""
        if self.to_x is not None:
            torch.mm(pull, self.y, out=self.to_x[at])
        if self.to_y is not None:
            add_product(self.to_y, pull.T, self.x[at])


class _OneWay(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, own: int, hidden: int | None, chunk: int
    ) -> tuple[Tensor, Tensor]:
        gradients, losses, right = _Gradients(ctx, x, y), [], []
        for at in pieces(len(x), chunk):
            logits = x[at] @ y.T
            if hidden is not None:
                logits[:, hidden + at.start :].fill_diagonal_(-torch.inf)
            best, chosen = logits.max(dim=1, keepdim=True)
            right.append(_rightly(chosen.squeeze(1), own + at.start))
            diagonal = logits.sub_(best)[:, own + at.start :].diagonal()
            mine = diagonal.clone()
            total = logits.exp_().sum(dim=1, keepdim=True)
            losses.append(total.squeeze(1).log() - mine)
            logits.div_(total)
            diagonal.sub_(1)
            gradients.add(logits, at)
        return _kept(ctx, losses, right, gradients.to_x, gradients.to_y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return *_sent(ctx, gradient), None, None, None


class _YesOrNo(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, bias: Tensor, own: int, chunk: int) -> tuple[Tensor, Tensor]:
        gradients, losses, right, to_bias = _Gradients(ctx, x, y), [], [], torch.zeros_like(bias)
        for at in pieces(len(x), chunk):
            logits = (x[at] @ y.T).add_(bias)
            right.append(_rightly(logits.argmax(dim=1), own + at.start))
            # With the right answer's sign turned every logit asks the same: -log(1 - sigmoid).
            diagonal = logits[:, own + at.start :].diagonal().neg_()
            losses.append(-F.logsigmoid(-logits).sum(dim=1))
            logits.sigmoid_()
            diagonal.neg_()
            gradients.add(logits, at)
            to_bias += logits.sum(dim=1).sum()
        return _kept(ctx, losses, right, gradients.to_x, gradients.to_y, to_bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return *_sent(ctx, gradient), None, None


def _kept(
    ctx: Any, losses: list[Tensor], right: list[Tensor], *gradients: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The mean loss and who is right; gradients of the summed loss stay until the way back."""
    found, each = torch.cat(right), torch.cat(losses)
    ctx.rows = len(each)
    ctx.save_for_backward(*gradients)
    ctx.mark_non_differentiable(found)
    return each.mean(), found


def _sent(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    share = gradient / ctx.rows
    return [None if one is None else one * share for one in ctx.saved_tensors]
