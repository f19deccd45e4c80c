"""A small residual network that learns fast on a CPU."""

from __future__ import annotations

import math
from itertools import accumulate

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import ImageTower, followed
from sightword.towers.batch_norm import BatchNorm2d
from sightword.towers.blocks import AttentionPool
from sightword.towers.convolution import Pictures, convolved
from sightword.towers.layer import Layer, economical
from sightword.towers.steps import Step, one_after_another, residual
from sightword.words import Encoded, ImageFacts


def norm_for(kind: str, channels: int) -> BatchNorm2d | nn.GroupNorm:
    """Batch norm over all processes' rows, or group norm with at most 32 groups (arXiv 1803.08494)."""
    return BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(math.gcd(32, channels), channels)


def normed(
    conv: nn.Conv2d,
    norm: nn.Module,
    x: Float[Tensor, "b c h w"] | Pictures,
    added: Float[Tensor, "b out h2 w2"] | None = None,
    rectified: bool = False,
    pooled: int = 1,
) -> Float[Tensor, "b out h2 w2"]:
    """`relu(norm(conv(x)) + added)`, the sum and the ReLU where they are wanted; `pooled`: see `convolved`.

    Where nothing is learned a batch norm goes into the kernels, which saves a pass.
    """
    folded = None if norm.training or torch.is_grad_enabled() else _folded(conv, norm)
    if folded is None and isinstance(norm, BatchNorm2d):
        return norm.followed(convolved(conv, x, pooled), added, rectified)
    x = x.normalised() if isinstance(x, Pictures) else x
    x = x if pooled == 1 else F.avg_pool2d(x, pooled)
    answer: Tensor = norm(conv(x)) if folded is None else F.conv2d(x, *folded, conv.stride, conv.padding)
    answer = answer if added is None else answer + added
    return F.relu(answer, inplace=True) if rectified else answer


def _folded(conv: nn.Conv2d, norm: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Kernels and bias of a convolution that does what it and its batch norm do; None for other norms."""
    if not isinstance(norm, BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        return None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


class InSteps(nn.Sequential):
    """Convolutions without bias, each with its norm behind it, perhaps a mean before and a ReLU after."""

    def forward(self, x: Float[Tensor, "b c h w"] | Pictures) -> Float[Tensor, "b out h2 w2"]:
        """The last step's answer; x where there is none. `Pictures` meet a convolution."""
        steps = self.steps()
        answer = one_after_another(x, steps) if steps else None
        if answer is not None:
            return answer
        for step in steps:
            x = normed(step.conv, step.norm, x, None, step.rectified, step.pooled)
        assert isinstance(x, Tensor), "pictures meet a convolution"
        return x

    def steps(self) -> list[Step]:
        """What these modules do."""
        left, found = list(self), []
        while left:
            first, pooled = left.pop(0), 1
            if isinstance(first, nn.AvgPool2d):
                assert isinstance(first.kernel_size, int), "a square, see `Basic`"
                pooled, first = first.kernel_size, left.pop(0)
            assert isinstance(first, nn.Conv2d), "see above"
            norm, rectified = left.pop(0), bool(left) and isinstance(left[0], nn.ReLU)
            left = left[1:] if rectified else left
            found.append(Step(first, norm, rectified, pooled))
        return found


def map_facts(config: ImageTowerConfig, width: int, token_width: int, grid: int) -> ImageFacts:
    """The facts of a network whose tokens are the places of its last map, which is `grid` wide and high."""
    return ImageFacts(
        width=width,
        token_width=token_width,
        size=config.size,
        grid=(grid, grid),
        patch_size=None,
        maskable=False,
        mean=config.mean,
        std=config.std,
    )


def refuse_hiding(hidden: Tensor | None, what: str) -> None:
    """Raise `SightwordError` when something is to be hidden from a network whose kernels overlap."""
    if hidden is not None:
        raise SightwordError(
            f"{what} cannot hide patches: its convolutions overlap, so hidden pixels would leak into "
            "visible tokens; use a ViT with the patch stem (--model vit-tiny)"
        )


class Basic(Layer):
    """Two 3x3 convolutions around a shortcut that averages before it strides (ResNet-D, arXiv 1812.01187)."""

    def __init__(self, channels: int, out: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.norm1 = norm_for(norm, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = norm_for(norm, out)
        shortcut: list[nn.Module] = [nn.AvgPool2d(stride)] if stride > 1 else []
        if shortcut or channels != out:
            shortcut += [nn.Conv2d(channels, out, 1, bias=False), norm_for(norm, out)]
        self.shortcut = InSteps(*shortcut)

    @economical
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h2 w2"]:
        """One residual step."""
        steps = Step(self.conv1, self.norm1), Step(self.conv2, self.norm2)
        answer = residual(x, steps, self.shortcut.steps())
        if answer is not None:
            return answer
        y = normed(self.conv1, self.norm1, x, rectified=True)
        return normed(self.conv2, self.norm2, y, self.shortcut(x), rectified=True)


class ResNet(ImageTower):
    """Stem of 3x3 convolutions, stages of basic blocks that halve the grid and double the width.

    The grid is `size / patch_size`, as for a ViT: the stem takes whatever stride the stages leave.
    The last norm of each block starts at zero, so that each block starts as its shortcut (arXiv 1706.02677).
    """

    def __init__(self, config: ImageTowerConfig) -> None:
        grid = config.size // config.patch_size
        last = config.width * 2 ** (len(config.layers) - 1)
        facts = map_facts(config, last, last, grid)
        super().__init__(facts, mixes_batch=config.norm == "batch")
        self.stem = self._stem(config)
        self.stages = self._stages(config)
        self.pool, self.depths = config.pool, config.layers
        self.attention_pool = AttentionPool(last, config.heads) if config.pool == "attention" else None
        self._initialise()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @staticmethod
    def _stem(config: ImageTowerConfig) -> InSteps:
        stride = config.patch_size // 2 ** (len(config.layers) - 1)
        strides = [2] * int(math.log2(stride)) or [1]
        parts: list[nn.Module] = []
        for i, step in enumerate(strides):
            channels = 3 if i == 0 else config.width
            parts += [nn.Conv2d(channels, config.width, 3, step, padding=1, bias=False)]
            parts += [norm_for(config.norm, config.width), nn.ReLU(inplace=True)]
        return InSteps(*parts)

    @staticmethod
    def _stages(config: ImageTowerConfig) -> nn.Sequential:
        blocks: list[nn.Module] = []
        channels = config.width
        for stage, depth in enumerate(config.layers):
            out = config.width * 2**stage
            for i in range(depth):
                blocks.append(Basic(channels, out, 2 if stage > 0 and i == 0 else 1, config.norm))
                channels = out
        return nn.Sequential(*blocks)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, Basic):
                nn.init.zeros_(module.norm2.weight)

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `ImageTower`: the stages."""
        ends = [*accumulate(self.depths)]
        stages = [list(self.stages)[end - depth : end] for depth, end in zip(self.depths, ends, strict=True)]
        return followed(stages, [] if self.attention_pool is None else [self.attention_pool])

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
    ) -> Encoded:
        """See `ImageTower`; tokens are the last feature map, row by row. Hiding is a `SightwordError`."""
        refuse_hiding(hidden, "a ResNet")
        x = Pictures(images, *self.normalisation())
        tokens = self.stages(self.stem(x)).flatten(2).transpose(1, 2)
        return Encoded(pooled=self._pool(tokens), tokens=tokens)

    def _pool(self, tokens: Tensor) -> Tensor:
        if self.attention_pool is not None:
            return self.attention_pool(tokens)
        return tokens.mean(1) if self.pool == "gap" else tokens.amax(1)
