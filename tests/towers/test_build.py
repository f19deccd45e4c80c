"""Configurations that contradict themselves are refused in one clear line."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.build import build_image, build_text

RESNET = ImageTowerConfig(kind="resnet", size=64, width=8, layers=(1, 1, 1, 1), pool="gap", heads=4)
RN50 = ImageTowerConfig(
    kind="modified-resnet", size=64, width=8, layers=(1, 1, 1, 1), heads=4, patch_size=32, pool="attention"
)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ImageTowerConfig(size=100), "100, which patch_size 16 does not divide; use 96"),
        (ImageTowerConfig(width=384, heads=10), "10 heads do not divide a width of 384; try"),
        (ImageTowerConfig(layers=(3, 4, 6, 3)), "one depth"),
        (ImageTowerConfig(layers=()), "must be > 0"),
        (ImageTowerConfig(width=0), "must be > 0"),
        (ImageTowerConfig(drop_path=1.0), "drop_path"),
        (ImageTowerConfig(std=(0.2, 0.0, 0.2)), "deviations"),
        (ImageTowerConfig(size=70, patch_size=14, width=84, stem="conv"), "power of 2"),
        (ImageTowerConfig(width=6, heads=1, positions="sincos"), "multiple of 4"),
        (replace(RESNET, pool="class"), "no class token"),
        (replace(RESNET, patch_size=64), "pixels, but patch_size is 64"),
        (replace(RESNET, pool="attention", heads=5), "5 heads do not divide a width of 64"),
        (replace(RN50, pool="gap"), "pools by attention"),
        (replace(RN50, layers=(1, 1, 1)), "4 stages"),
        (replace(RN50, heads=12), "12 heads do not divide a width of 256"),
    ],
)
def test_image_configurations(config, message):
    with pytest.raises(SightwordError, match=message) as caught:
        build_image(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TextTowerConfig(pool="class"), "causal attention sees nothing"),
        (TextTowerConfig(heads=7), "7 heads do not divide a width of 512; try 8 heads"),
        (TextTowerConfig(context=1), "at least 2"),
        (TextTowerConfig(layers=0), "pool must be"),
        (TextTowerConfig(layers=-1), "or more"),
    ],
)
def test_text_configurations(config, message):
    with pytest.raises(SightwordError, match=message):
        build_text(config, vocab=10, pad=0, eot=9)


@pytest.mark.parametrize("config", [RESNET, RN50], ids=["resnet", "modified-resnet"])
def test_resnets_refuse_to_hide(config):
    tower = build_image(config)
    n = tower.facts.grid[0] * tower.facts.grid[1]
    assert not tower.facts.maskable
    with pytest.raises(SightwordError, match="cannot hide patches"):
        tower(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), torch.zeros(2, n, dtype=torch.bool))
