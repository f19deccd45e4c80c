"""OpenAI's modified ResNet, which CLIP and SLIP call RN50; parameters bear OpenAI's names."""

from __future__ import annotations

from collections import OrderedDict

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.config import ImageTowerConfig
from sightword.towers.base import ImageTower, followed
from sightword.towers.blocks import attend
from sightword.towers.layer import Layer, economical
from sightword.towers.positions import resized
from sightword.towers.resnet import map_facts, norm_for, refuse_hiding
from sightword.words import Encoded


class Bottleneck(Layer):
    """1x1, 3x3 and 1x1 convolutions; a stride is an average pool in front of a 1x1 convolution."""

    expansion = 4

    def __init__(self, channels: int, planes: int, stride: int, norm: str) -> None:
        super().__init__()
        out = planes * self.expansion
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = norm_for(norm, planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = norm_for(norm, planes)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(planes, out, 1, bias=False)
        self.bn3 = norm_for(norm, out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or channels != out:
            parts = [("-1", nn.AvgPool2d(stride)), ("0", nn.Conv2d(channels, out, 1, bias=False))]
            self.downsample = nn.Sequential(OrderedDict([*parts, ("1", norm_for(norm, out))]))

    @economical
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h2 w2"]:
        """One residual step."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.avgpool(self.relu(self.bn2(self.conv2(y))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.bn3(self.conv3(y)) + shortcut)


class AttentionPool2d(nn.Module):
    """Attention over the feature map and its mean, read at the mean (CLIP, section 2.4).

    Positions of a map of another size, such as a local view's, are resized as a ViT's. OpenAI's has none.
    """

    def __init__(self, grid: int, width: int, heads: int, out: int) -> None:
        super().__init__()
        positions = grid**2
        self.grid = grid, grid
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(positions + 1, width) / width**0.5)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, out)
        for projection in (self.q_proj, self.k_proj, self.v_proj, self.c_proj):
            nn.init.normal_(projection.weight, std=width**-0.5)

    def forward(self, tokens: Float[Tensor, "b n w"], grid: tuple[int, int]) -> Float[Tensor, "b out"]:
        """All tokens of a map, row by row, to one feature; `grid` is its height and width."""
        b, _, w = tokens.shape
        x = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1) + self._positions(grid)
        q, k, v = (
            projection(part).view(b, -1, self.heads, w // self.heads).transpose(1, 2)
            for projection, part in ((self.q_proj, x[:, :1]), (self.k_proj, x), (self.v_proj, x))
        )
        return self.c_proj(attend(q, k, v).reshape(b, w))

    def _positions(self, grid: tuple[int, int]) -> Float[Tensor, "_ w"]:
        if grid == self.grid:
            return self.positional_embedding
        first, rest = self.positional_embedding[:1], self.positional_embedding[1:]
        return torch.cat([first, resized(rest, self.grid, grid).to(first.dtype)])


class ModifiedResNet(ImageTower):
    """Three-convolution stem, anti-aliased strides, attention pool (arXiv 2103.00020; openai/CLIP, model.py).

    Parameters are named as under `visual.` in OpenAI's state dict. The pooled feature is `16 * width` wide,
    which for RN50 is OpenAI's own 1024. Deviation: CLIP's attention pool already leads into the joint space;
    here, as for every tower, one more linear map follows (the identity, for OpenAI's weights).
    """

    def __init__(self, config: ImageTowerConfig) -> None:
        width, grid = config.width, config.size // 32
        last = width * 8 * Bottleneck.expansion
        facts = map_facts(config, width * 16, last, grid)
        super().__init__(facts, mixes_batch=config.norm == "batch")
        self._stem(width, config.norm)
        self.layer1, self.layer2, self.layer3, self.layer4 = _stages(config)
        self.attnpool = AttentionPool2d(grid, last, config.heads, width * 16)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _stem(self, width: int, norm: str) -> None:
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = norm_for(norm, width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = norm_for(norm, width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = norm_for(norm, width)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AvgPool2d(2)

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `ImageTower`: the four stages."""
        return followed([[self.layer1], [self.layer2], [self.layer3], [self.layer4]], [self.attnpool])

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
    ) -> Encoded:
        """See `ImageTower`; tokens are the last feature map, row by row. Hiding is a `SightwordError`."""
        refuse_hiding(hidden, "a ResNet")
        x = self.normalise(images).contiguous(memory_format=torch.channels_last)
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = self.relu(norm(conv(x)))
        x = self.avgpool(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        tokens, grid = x.flatten(2).transpose(1, 2), (x.shape[2], x.shape[3])
        return Encoded(pooled=self.attnpool(tokens, grid), tokens=tokens)


def _stages(config: ImageTowerConfig) -> list[nn.Sequential]:
    stages, channels = [], config.width
    for stage, depth in enumerate(config.layers):
        planes = config.width * 2**stage
        blocks = []
        for i in range(depth):
            blocks.append(Bottleneck(channels, planes, 2 if stage > 0 and i == 0 else 1, config.norm))
            channels = planes * Bottleneck.expansion
        stages.append(nn.Sequential(*blocks))
    return stages
