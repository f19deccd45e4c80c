"""Parameter counts and shapes equal the published ones; big towers live on the meta device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.towers.build import build_image, build_text


def count(module: nn.Module, without: str = "") -> int:
    return sum(p.numel() for n, p in module.named_parameters() if not without or not n.startswith(without))


@pytest.mark.parametrize(
    ("width", "layers", "heads", "published"),
    [
        (192, 12, 3, 5_717_416 - 193_000),  # DeiT-Ti without its head of 1,000 classes
        (384, 12, 12, 22_050_664 - 385_000),  # DeiT-S
        (768, 12, 12, 86_567_656 - 769_000),  # ViT-B/16
        (1024, 24, 16, 304_326_632 - 1_025_000),  # ViT-L/16
    ],
    ids=["Ti", "S", "B", "L"],
)
def test_vit(width, layers, heads, published):
    with torch.device("meta"):
        tower = build_image(ImageTowerConfig(width=width, layers=(layers,), heads=heads))
        answer = tower(torch.zeros(2, 3, 224, 224, dtype=torch.uint8))
    assert count(tower) == published
    assert answer.pooled.shape == (2, width)
    assert answer.tokens.shape == (2, 196, width)


def test_openai_rn50():
    """38,316,896: open_clip's table of models, RN50, image parameters (38.32 M)."""
    config = ImageTowerConfig(
        kind="modified-resnet", width=64, layers=(3, 4, 6, 3), heads=32, patch_size=32, pool="attention"
    )
    with torch.device("meta"):
        tower = build_image(config)
        answer = tower(torch.zeros(2, 3, 224, 224, dtype=torch.uint8))
    assert count(tower) == 38_316_896
    assert answer.pooled.shape == (2, 1024)
    assert answer.tokens.shape == (2, 49, 2048)


def test_clip_text():
    """CLIP ViT-B/16 has 149,620,737, of which 86,192,640 are visual; then the projection and the scale."""
    with torch.device("meta"):
        tower = build_text(TextTowerConfig(), vocab=49_408, pad=0, eot=49_407)
    assert count(tower.blocks) == 37_828_608
    assert count(tower) == 149_620_737 - 86_192_640 - 512 * 512 - 1


def test_small_resnet_grid_and_width():
    for size, layers, patch_size in [(64, (1, 1, 1, 1), 16), (32, (2, 2, 2), 4), (64, (1, 1, 1), 16)]:
        config = ImageTowerConfig(
            kind="resnet", size=size, width=8, layers=layers, patch_size=patch_size, pool="gap"
        )
        answer = build_image(config)(torch.zeros(2, 3, size, size, dtype=torch.uint8))
        assert answer.tokens.shape == (2, (size // patch_size) ** 2, 8 * 2 ** (len(layers) - 1))
