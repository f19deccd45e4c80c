"""Batch norm over the batches of all processes, on CPUs and GPUs alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightword import distributed
from sightword.towers.fused_norm import fits, fused


class _OverAllRanks(_BatchNorm):
    """Torch's own in evaluation and in one process; otherwise as if one process had all rows.

    Ioffe and Szegedy 2015 (arXiv 1502.03167), algorithm 1, with the mean and variance of the whole batch of
    a step. Torch's `SyncBatchNorm` does the same on GPUs alone. The state dict is that of torch's batch norm.

    Deviation: SLIP's released code synchronises the batch norms of its heads alone; here every one is, so
    that a run's numbers do not depend on how many processes compute them.
    """

    def forward(self, input: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Normalise each channel; while training every rank must give equally many rows of equal size."""
        return self.followed(input)

    def followed(
        self,
        input: Float[Tensor, "b c *space"],
        added: Float[Tensor, "b c *space"] | None = None,
        rectified: bool = False,
    ) -> Float[Tensor, "b c *space"]:
        """`relu(self(input) + added)`; the sum and the ReLU where they are wanted."""
        alone = not self.training or distributed.world_size() == 1
        if alone and fits(self, input, added):
            return fused(self, input, added, rectified)
        normed = super().forward(input) if alone else self._over_all(input)
        normed = normed if added is None else normed + added
        return F.relu(normed, inplace=True) if rectified else normed

    def _over_all(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        mean, variance = _moments(input)
        if self.track_running_stats:
            self._follow(mean, variance, input.numel() // input.shape[1] * distributed.world_size())
        return _normalised(input, mean, variance, self.weight, self.bias, self.eps)

    @torch.no_grad()
    def _follow(self, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"], count: int) -> None:
        """Move the running statistics; the variance that is kept is the unbiased one, as torch's."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        unbiased = variance * (count / max(1, count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class BatchNorm1d(_OverAllRanks, nn.BatchNorm1d):
    """Batch norm of features of all ranks; see `_OverAllRanks` for what is synchronised."""


class BatchNorm2d(_OverAllRanks, nn.BatchNorm2d):
    """Batch norm of feature maps of all ranks; see `_OverAllRanks` for what is synchronised."""


@contextmanager
def still_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms normalise as before but do not count what they see in their running statistics."""
    counting = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in counting:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in counting:
            norm.track_running_stats = True


def _moments(x: Float[Tensor, "b c *space"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and biased variance of all ranks' rows, with exact gradient; equal to the bit on every rank.

    Chan, Golub and LeVeque 1983 ("Algorithms for computing the sample variance"), equation 2.1, for parts
    of one size: the mean of the variances, and the variance of the means.
    """
    own: Tensor = torch.stack(_OwnMoments.apply(x))
    means, variances = distributed.gather(own[None]).unbind(1)
    mean = means.mean(0)
    return mean, variances.mean(0) + (means - mean).square().mean(0)


def _normalised(
    x: Float[Tensor, "b c *space"],
    mean: Float[Tensor, " c"],
    variance: Float[Tensor, " c"],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Float[Tensor, "b c *space"]:
    """Torch's own kernel with given statistics; it sends them no gradient, so that goes by weight and bias.

    Weight and bias are multiplied by 1 and moved by 0 whose derivatives are those of the statistics. So the
    kernel holds one copy of x for its backward, in its own precision and memory format, as ever.
    """
    still, inverse = mean.detach(), (variance + eps).rsqrt()
    scale = inverse / inverse.detach() if weight is None else weight * (inverse / inverse.detach())
    shift = scale * inverse.detach() * (still - mean)
    shift = shift if bias is None else bias + shift
    return F.batch_norm(x, still, variance.detach(), scale.to(mean), shift.to(mean), training=False, eps=eps)


class _OwnMoments(torch.autograd.Function):
    """`torch.var_mean` in float32 of what may have less, holding no float32 copy for its backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(_wide(x), dim=_but_channels(x), correction=0)
        ctx.save_for_backward(x, mean)
        return mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        to_mean, to_variance = (g.view(-1, *(1,) * (x.dim() - 2)) for g in gradients)
        count = x.numel() // x.shape[1]
        centred = _wide(x) - mean.view_as(to_mean)
        return ((to_mean + 2 * to_variance * centred) / count).to(x.dtype)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _but_channels(x: Tensor) -> list[int]:
    return [d for d in range(x.dim()) if d != 1]
