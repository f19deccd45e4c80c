"""The vision transformer against its naive twin, whole and masked."""

from __future__ import annotations

from dataclasses import replace

import naive_towers
import numpy as np
import pytest
import torch

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.towers.build import build_image
from sightword.towers.stems import ConvStem
from sightword.towers.vit import ViT

CONFIG = ImageTowerConfig(size=32, width=24, layers=(2,), heads=3, patch_size=8, mask_token=True)


def tower_of(config: ImageTowerConfig) -> ViT:
    """In float64 but for fixed constants; every parameter away from its neutral start."""
    torch.manual_seed(0)
    tower = build_image(config).double()
    assert isinstance(tower, ViT)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return tower.eval()


def pictures(b: int, size: int = 32) -> torch.Tensor:
    return torch.randint(
        0, 256, (b, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def hide(b: int, n: int, count: int) -> torch.Tensor:
    order = torch.rand(b, n, generator=torch.Generator().manual_seed(2)).argsort(1)
    return order < count


@pytest.mark.parametrize("positions", ["learned", "sincos"])
@pytest.mark.parametrize("pool", ["class", "gap", "max", "attention"])
def test_equals_its_twin(pool, positions):
    config = replace(CONFIG, pool=pool, positions=positions)
    tower, images = tower_of(config), pictures(2)
    answer = tower(images)
    assert answer.kept is None
    assert answer.hidden is None
    for i in range(2):
        pooled, tokens = naive_towers.vit(
            images[i].numpy(), naive_towers.weights_of(tower), config, range(16)
        )
        np.testing.assert_allclose(answer.pooled[i].detach(), pooled, atol=1e-6)
        np.testing.assert_allclose(answer.tokens[i].detach(), tokens, atol=1e-6)


@pytest.mark.parametrize("positions", ["learned", "sincos"])
def test_dropping_equals_encoding_only_what_is_seen(positions):
    config = replace(CONFIG, positions=positions)
    tower, images, hidden = tower_of(config), pictures(3), hide(3, 16, 12)
    answer = tower(images, hidden)
    assert answer.kept is not None
    assert torch.equal(answer.hidden, hidden)
    assert answer.tokens.shape == (3, 4, 24)
    for i in range(3):
        kept = (~hidden[i]).nonzero()[:, 0].tolist()
        assert answer.kept[i].tolist() == kept
        pooled, tokens = naive_towers.vit(images[i].numpy(), naive_towers.weights_of(tower), config, kept)
        np.testing.assert_allclose(answer.pooled[i].detach(), pooled, atol=1e-6)
        np.testing.assert_allclose(answer.tokens[i].detach(), tokens, atol=1e-6)


def test_hidden_pixels_change_nothing_and_seen_ones_do():
    tower, images, hidden = tower_of(CONFIG), pictures(1), hide(1, 16, 12)
    pixels = hidden.view(1, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    first = tower(images, hidden)
    assert torch.equal(first.tokens, tower(torch.where(pixels, 255 - images, images), hidden).tokens)
    assert not torch.equal(first.tokens, tower(torch.where(pixels, images, 255 - images), hidden).tokens)


def test_replacing_puts_the_mask_token_in():
    tower, images, hidden = tower_of(CONFIG), pictures(2), hide(2, 16, 6)
    answer = tower(images, hidden, replace=True)
    assert answer.kept is None
    for i in range(2):
        masked = hidden[i].nonzero()[:, 0].tolist()
        weights = naive_towers.weights_of(tower)
        _, tokens = naive_towers.vit(images[i].numpy(), weights, CONFIG, range(16), masked)
        np.testing.assert_allclose(answer.tokens[i].detach(), tokens, atol=1e-6)


def test_replacing_without_a_mask_token_says_what_to_set():
    tower = build_image(replace(CONFIG, mask_token=False))
    with pytest.raises(SightwordError, match="mask_token=true"):
        tower(pictures(1), hide(1, 16, 4), replace=True)


def test_rows_that_hide_different_numbers_are_our_mistake():
    hidden = hide(2, 16, 4)
    hidden[0] = False
    with pytest.raises(AssertionError, match="same number"):
        build_image(CONFIG)(pictures(2), hidden)


def test_convolutional_stem_sees_around_its_place_only():
    torch.manual_seed(0)
    stem, images = ConvStem(8, 16, "group").eval(), torch.randn(1, 3, 64, 64)
    stem.layers = torch.nn.Sequential(*(m for m in stem.layers if not isinstance(m, torch.nn.GroupNorm)))
    changed = images.clone()
    changed[:, :, 26, 44] += 1  # the patch in row 3, column 5
    difference = (stem(images) - stem(changed)).abs().sum(-1).view(8, 8)
    touched = difference.nonzero().tolist()
    assert [3, 5] in touched
    assert all(abs(row - 3) <= 1 and abs(column - 5) <= 1 for row, column in touched)


def test_convolutional_stem_refuses_to_hide():
    tower = build_image(replace(CONFIG, stem="conv"))
    assert not tower.facts.maskable
    assert tower.facts.patch_size is None
    assert tower(pictures(2)).tokens.shape == (2, 16, 24)
    with pytest.raises(SightwordError, match="patch stem"):
        tower(pictures(2), hide(2, 16, 4))


@pytest.mark.parametrize("positions", ["learned", "sincos"])
def test_other_image_sizes(positions):
    config = replace(CONFIG, positions=positions)
    tower = tower_of(config)
    assert tower(pictures(2, 48)).tokens.shape == (2, 36, 24)
    with pytest.raises(SightwordError, match="30x30"):
        tower(pictures(1, 30))


def test_fixed_positions_of_another_size_equal_the_twin():
    config = replace(CONFIG, positions="sincos")
    tower, images = tower_of(config), pictures(1, 48)
    _, tokens = naive_towers.vit(images[0].numpy(), naive_towers.weights_of(tower), config, range(36))
    np.testing.assert_allclose(tower(images).tokens[0].detach(), tokens, atol=1e-6)


def test_learned_positions_keep_their_place_when_resized():
    positions = build_image(CONFIG).positions
    with torch.no_grad():
        column = torch.arange(16.0) % 4
        positions.weight.copy_(column[:, None].expand(16, 24))
        resized = positions((8, 8)).view(8, 8, 24)
    centres = (torch.arange(8) + 0.5) / 2 - 0.5
    torch.testing.assert_close(resized[3, 2:6, 0], centres[2:6], atol=0.1, rtol=0)
    torch.testing.assert_close(resized[0], resized[7])


def test_drop_path_grows_with_depth_and_drops_whole_samples():
    torch.manual_seed(0)
    tower = build_image(replace(CONFIG, layers=(3,), drop_path=0.5))
    assert [block.drop_path.p for block in tower.blocks] == [0, 0.25, 0.5]
    x = torch.ones(4000, 2, 3)
    dropped = tower.blocks[2].drop_path(x)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped[:, 0, 0], dropped[:, 1, 2])
    assert abs(dropped.mean().item() - 1) < 0.1
    assert torch.equal(tower.eval().blocks[2].drop_path(x), x)


def test_drawn_numbers_decide_what_a_row_drops_whatever_the_batch() -> None:
    tower = build_image(replace(CONFIG, layers=(3,), drop_path=0.5))
    assert (tower.path_draws, build_image(CONFIG).path_draws) == (6, 0)
    pictures = torch.randint(0, 256, (8, 3, CONFIG.size, CONFIG.size), dtype=torch.uint8)
    draws = torch.rand(8, 6)
    whole = tower(pictures, draws=draws).tokens
    assert torch.equal(tower(pictures, draws=draws).tokens, whole), "torch draws nothing"
    parts = [tower(pictures[rows], draws=draws[rows]).tokens for rows in (slice(0, 3), slice(3, 8))]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert not torch.allclose(tower(pictures, draws=1 - draws).tokens, whole)


def test_a_branch_is_dropped_where_its_number_is_below_the_rate() -> None:
    tower = build_image(replace(CONFIG, layers=(3,), drop_path=0.5))
    pictures = torch.randint(0, 256, (2, 3, CONFIG.size, CONFIG.size), dtype=torch.uint8)
    draws = torch.tensor([[0.0, 0.0, 0.24, 0.3, 0.6, 0.4], [0.9] * 6])
    found = tower(pictures, draws=draws).tokens
    x = tower._with_class(tower._tokens(pictures, None, False)[0])
    for row, kept in enumerate(([1, 1, 0, 4 / 3, 2, 0], [1, 1, 4 / 3, 4 / 3, 2, 2])):  # 1 / (1 - rate)
        own = x[row : row + 1]
        for block, (first, second) in zip(tower.blocks, zip(kept[::2], kept[1::2], strict=True), strict=True):
            own = own + first * block.attn(block.norm1(own))
            own = own + second * block.mlp(block.norm2(own))
        torch.testing.assert_close(found[row], tower.norm(own)[0, -found.shape[1] :])
