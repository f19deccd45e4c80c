"""What is locked has no gradient and computes what it computed, whatever the rest does."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import ImageTower, TextTower
from sightword.towers.build import build_image, build_text
from sightword.towers.locking import encoding, freeze, keep_still, learns, lock

VIT = ImageTowerConfig(size=16, width=24, layers=(3,), heads=2, patch_size=4, drop_path=0.5)
ATTENTION = ImageTowerConfig(size=16, width=24, layers=(3,), heads=2, patch_size=4, pool="attention")
RESNET = ImageTowerConfig("resnet", size=16, width=8, layers=(2, 1, 1), heads=2, patch_size=8, pool="gap")
STANDARD = ImageTowerConfig(
    "standard-resnet", size=32, width=4, layers=(1,) * 4, patch_size=32, pool="gap", bottleneck=False
)
MODIFIED = ImageTowerConfig(
    "modified-resnet", size=32, width=4, layers=(1,) * 4, heads=4, patch_size=32, pool="attention"
)
LAST = {  # of two unlocked groups: what every name that learns begins with
    "vit": (VIT, ("blocks.1.", "blocks.2.", "norm.")),
    "vit-attention": (ATTENTION, ("blocks.1.", "blocks.2.", "norm.", "attention_pool.")),
    "resnet": (RESNET, ("stages.2.", "stages.3.")),
    "standard-resnet": (STANDARD, ("layer3.", "layer4.")),
    "modified-resnet": (MODIFIED, ("layer3.", "layer4.", "attnpool.")),
}


def text() -> TextTower:
    return build_text(TextTowerConfig(width=16, layers=3, heads=2, context=8), vocab=20, pad=0, eot=19)


def pictures(tower: ImageTower, rows: int = 4) -> Tensor:
    return torch.randint(0, 256, (rows, 3, tower.facts.size, tower.facts.size), dtype=torch.uint8)


def trained(module: nn.Module) -> set[str]:
    return {name for name, p in module.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("kind", LAST)
def test_the_last_groups_learn_and_nothing_else(kind: str) -> None:
    config, prefixes = LAST[kind]
    tower = build_image(config)
    lock(tower, 2)
    wanted = {name for name, _ in tower.named_parameters() if name.startswith(prefixes)}
    assert {p for p in prefixes if not any(name.startswith(p) for name in wanted)} == set()
    assert trained(tower) == wanted


def test_of_captions_the_last_layers_and_the_norm_learn() -> None:
    tower = text()
    lock(tower, 1)
    names = [name for name, _ in tower.named_parameters()]
    assert trained(tower) == {name for name in names if name.startswith(("blocks.2.", "norm."))}


@pytest.mark.parametrize("kind", LAST)
@pytest.mark.parametrize("through_a_copy", [False, True])
def test_it_computes_what_it_computed_while_the_rest_trains(kind: str, through_a_copy: bool) -> None:
    torch.manual_seed(0)
    tower = build_image(LAST[kind][0])
    for _ in range(2):
        tower(pictures(tower))  # running statistics that are not those of the next batch
    images, before = pictures(tower), copy.deepcopy(tower.state_dict())
    with torch.no_grad():
        expected = tower.eval()(images).pooled
    lock(tower.train())
    model: nn.Module = copy.deepcopy(tower) if through_a_copy else tower
    model.train()
    keep_still(model)
    with encoding(model):
        found = model(images).pooled
    assert torch.equal(found, expected)
    assert not found.requires_grad
    assert not learns(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_only_unlocked_stages_count_in_their_batch_norms() -> None:
    tower = build_image(RESNET)
    lock(tower, 1)
    tower.train()
    keep_still(tower)
    before = {n: b.clone() for n, b in tower.named_buffers() if n.endswith("running_mean")}
    tower(pictures(tower))
    moved = {n for n, b in tower.named_buffers() if n in before and not torch.equal(b, before[n])}
    assert moved == {name for name in before if name.startswith("stages.3.")}


def test_rows_are_mixed_only_where_something_learns() -> None:
    whole, part, free = build_image(RESNET), build_image(RESNET), build_image(RESNET)
    lock(whole)
    lock(part, 1)
    assert (whole.mixes_batch, part.mixes_batch, free.mixes_batch) == (False, True, True)


def test_nothing_is_kept_for_a_backward_pass_below_what_learns() -> None:
    """Tensors that autograd saves: with the last of three blocks unlocked, about a third of all."""
    kept: dict[int, int] = {}
    for unlocked in (0, 1, 3):
        tower = build_image(ATTENTION)
        lock(tower, unlocked)
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, saved=saved: saved.append(1) or x, lambda x: x
        ):
            tower(pictures(tower))
        kept[unlocked] = len(saved)
    assert kept[0] == 0 < kept[1] < kept[3]


def test_a_tower_for_adapters_drops_paths_but_keeps_its_statistics() -> None:
    tower, resnet = build_image(VIT), build_image(RESNET)
    for one in (tower, resnet):
        freeze(one)
        one.train()
        keep_still(one)
        assert trained(one) == set()
    assert all(module.training for module in tower.modules())
    assert not any(m.training for m in resnet.modules() if isinstance(m, nn.BatchNorm2d))
    assert not resnet.mixes_batch


@pytest.mark.parametrize("count", [-1, 4])
def test_more_groups_than_there_are(count: int) -> None:
    with pytest.raises(SightwordError, match="give 0 to 3"):
        lock(build_image(VIT), count)
