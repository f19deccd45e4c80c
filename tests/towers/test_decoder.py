"""MAE's decoder against its naive twin, behind towers with and without a class token."""

from __future__ import annotations

from dataclasses import replace

import naive_towers
import numpy as np
import pytest
import torch

from sightword.config import ImageTowerConfig
from sightword.towers.build import build_image
from sightword.towers.decoder import PatchDecoder

CONFIG = ImageTowerConfig(size=32, width=24, layers=(1,), heads=3, patch_size=8, mask_token=True)


def build(pool: str) -> tuple[torch.nn.Module, PatchDecoder]:
    torch.manual_seed(0)
    tower = build_image(replace(CONFIG, pool=pool)).double()
    decoder = PatchDecoder(tower.facts, width=16, depth=2, heads=2).double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return tower, decoder


@pytest.mark.parametrize("pool", ["class", "gap"])
def test_equals_its_twin(pool):
    tower, decoder = build(pool)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    hidden = torch.rand(2, 16).argsort(1) < 12
    encoded = tower(images, hidden)
    predicted = decoder(encoded)
    assert predicted.shape == (2, 16, 3 * 8 * 8)
    for i in range(2):
        twin = naive_towers.patch_decoder(
            encoded.pooled[i].detach().numpy() if pool == "class" else None,
            encoded.tokens[i].detach().numpy(),
            (~hidden[i]).nonzero()[:, 0].tolist(),
            naive_towers.weights_of(decoder),
            tower.facts.grid,
            heads=2,
        )
        np.testing.assert_allclose(predicted[i].detach(), twin, atol=1e-6)


@pytest.mark.parametrize("pool", ["class", "gap"])
def test_gradients_reach_decoder_and_tower(pool):
    tower, decoder = build(pool)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    hidden = torch.rand(2, 16).argsort(1) < 12
    decoder(tower(images, hidden))[hidden].square().sum().backward()
    parameters = [*decoder.named_parameters(), *tower.named_parameters()]
    assert [n for n, p in parameters if p.grad is None and n != "mask_token"] == []
    assert decoder.mask_token.grad.abs().sum() > 0


def test_whole_and_replaced_encodings_are_decoded_in_place():
    tower, decoder = build("class")
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    hidden = torch.rand(2, 16).argsort(1) < 6
    encoded = tower(images, hidden, replace=True)
    twin = naive_towers.patch_decoder(
        encoded.pooled[0].detach().numpy(),
        encoded.tokens[0].detach().numpy(),
        range(16),
        naive_towers.weights_of(decoder),
        tower.facts.grid,
        heads=2,
    )
    np.testing.assert_allclose(decoder(encoded)[0].detach(), twin, atol=1e-6)


def test_mae_paper_size():
    with torch.device("meta"):
        facts = build_image(ImageTowerConfig(width=1024, layers=(24,), heads=16)).facts
        decoder = PatchDecoder(facts)
    counted = sum(p.numel() for p in decoder.parameters())
    # MAE's ViT-L/16: 329.54 M in all, of which 303.30 M the encoder; its fixed positions are not counted here
    assert counted == 8 * (12 * 512**2 + 13 * 512) + (1024 + 1) * 512 + 512 + 2 * 512 + (512 + 1) * 768
