"""The ResNet of most released weights (ResNet-18 to -152); parameters bear torchvision's names."""

from __future__ import annotations

from collections import OrderedDict

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.config import ImageTowerConfig
from sightword.towers.base import ImageTower
from sightword.towers.layer import Layer, economical
from sightword.towers.resnet import map_facts, norm_for, normed, refuse_hiding
from sightword.words import Encoded


class Residual(Layer):
    """A shortcut around two 3x3 convolutions, or around 1x1, 3x3 and 1x1 (arXiv 1512.03385, figure 5).

    The stride lies in the 3x3 convolution, as in all released weights ("v1.5"), not in the first 1x1.
    """

    def __init__(self, channels: int, planes: int, stride: int, norm: str, bottleneck: bool) -> None:
        super().__init__()
        out = planes * (4 if bottleneck else 1)
        kernels = [(1, 1), (3, stride), (1, 1)] if bottleneck else [(3, stride), (3, 1)]
        widths = [channels, *[planes] * (len(kernels) - 1), out]
        for i, (kernel, step) in enumerate(kernels):
            conv = nn.Conv2d(widths[i], widths[i + 1], kernel, step, padding=kernel // 2, bias=False)
            self.add_module(f"conv{i + 1}", conv)
            self.add_module(f"bn{i + 1}", norm_for(norm, widths[i + 1]))
        self.steps = len(kernels)
        self.downsample = None
        if stride > 1 or channels != out:
            conv = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(OrderedDict([("0", conv), ("1", norm_for(norm, out))]))

    @property
    def last_scale(self) -> Tensor:
        """Of the norm before the sum."""
        scale = self.get_submodule(f"bn{self.steps}").weight
        assert isinstance(scale, Tensor)
        return scale

    @economical
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h2 w2"]:
        """One residual step."""
        y, last = x, self.steps
        for i in range(1, last):
            y = normed(*self._pair(i), y, rectified=True)
        if self.downsample is not None:
            x = normed(self.downsample[0], self.downsample[1], x)  # type: ignore[arg-type]
        return normed(*self._pair(last), y, x, rectified=True)

    def _pair(self, i: int) -> tuple[nn.Conv2d, nn.Module]:
        conv = self.get_submodule(f"conv{i}")
        assert isinstance(conv, nn.Conv2d)
        return conv, self.get_submodule(f"bn{i}")


class StandardResNet(ImageTower):
    """A 7x7 convolution, a 3x3 max pool, four stages, the map's mean (arXiv 1512.03385, table 1)."""

    def __init__(self, config: ImageTowerConfig) -> None:
        grid = config.size // 32
        last = config.width * 8 * (4 if config.bottleneck else 1)
        facts = map_facts(config, last, last, grid)
        super().__init__(facts, mixes_batch=config.norm == "batch")
        self.conv1 = nn.Conv2d(3, config.width, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm_for(config.norm, config.width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = _stages(config)
        self.pool = config.pool
        self._initialise()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, Residual):
                nn.init.zeros_(module.last_scale)

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `ImageTower`: the four stages."""
        return [[self.layer1], [self.layer2], [self.layer3], [self.layer4]]

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
    ) -> Encoded:
        """See `ImageTower`; tokens are the last feature map, row by row. Hiding is a `SightwordError`."""
        refuse_hiding(hidden, "a ResNet")
        x = self.normalise(images).contiguous(memory_format=torch.channels_last)
        x = self.maxpool(normed(self.conv1, self.bn1, x, rectified=True))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        tokens = x.flatten(2).transpose(1, 2)
        return Encoded(pooled=tokens.mean(1) if self.pool == "gap" else tokens.amax(1), tokens=tokens)


def _stages(config: ImageTowerConfig) -> list[nn.Sequential]:
    stages, channels = [], config.width
    for stage, depth in enumerate(config.layers):
        planes = config.width * 2**stage
        blocks = []
        for i in range(depth):
            stride = 2 if stage > 0 and i == 0 else 1
            blocks.append(Residual(channels, planes, stride, config.norm, config.bottleneck))
            channels = planes * (4 if config.bottleneck else 1)
        stages.append(nn.Sequential(*blocks))
    return stages
