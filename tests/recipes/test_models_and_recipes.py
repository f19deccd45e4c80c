"""Models and recipes by name: what they are is what the papers say, and every one can be built."""

from __future__ import annotations

import pytest
import torch

from sightword.config import Config, from_toml, to_toml
from sightword.errors import SightwordError
from sightword.objectives import catalogue as objectives
from sightword.recipes import catalogue, general, listing, models
from sightword.towers.build import build_image, build_text

PUBLISHED = {"vit-s16": 384, "vit-b16": 768, "vit-b32": 768, "vit-l16": 1024, "rn50": 1024}


@pytest.mark.parametrize("name", models.names())
def test_every_model_can_be_built(name: str) -> None:
    model = models.find(name)
    assert model.name == name
    with torch.device("meta"):
        image = build_image(model.image)
        text = build_text(model.text, vocab=300, pad=0, eot=2)
    assert image.facts.width == PUBLISHED.get(name, image.facts.width)
    assert text.facts.width == model.text.width


def test_slip_vit_s16_has_twelve_heads() -> None:
    """timm's has six: loading one into the other would be silently wrong."""
    assert models.find("vit-s16").image.heads == 12


@pytest.mark.parametrize("name", catalogue.names())
def test_every_recipe_is_a_whole_configuration(name: str) -> None:
    config = catalogue.find(name)
    assert objectives.parse(config.objective)
    assert bool(config.steps) != bool(config.epochs), "a recipe says how long, in one way"
    assert from_toml(Config, to_toml(config)) == config


def test_slip_differs_from_clip_as_published() -> None:
    clip, slip = catalogue.find("clip-vit-b16-yfcc15m"), catalogue.find("slip-vit-b16-yfcc15m")
    assert (clip.optimizer.lr, clip.optimizer.wd) == (5e-4, 0.5)
    assert (slip.optimizer.lr, slip.optimizer.wd) == (3e-3, 0.1)
    assert clip.batch_size == slip.batch_size == 4096
    assert clip.model == slip.model


def test_the_demo_arms_differ_in_the_objective_alone() -> None:
    clip, slip = catalogue.find("demo-clip"), catalogue.find("demo-slip")
    assert slip.objective.startswith(f"{clip.objective} + ")
    assert to_toml(clip).split("\n")[1:] == to_toml(slip).split("\n")[1:]


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(SightwordError, match="did you mean vit-tiny"):
        models.find("vit-tny")
    with pytest.raises(SightwordError, match="did you mean slip-vit-b16-yfcc15m"):
        catalogue.find("slip-vit-b16-yfcc")


def test_small_text_towers_get_a_learned_vocabulary() -> None:
    assert general.plain("resnet-tiny").data.tokenizer == "learned"
    assert general.plain("vit-b16").data.tokenizer == "clip"


def test_the_listing_names_everything_once_on_one_line() -> None:
    lines = listing.everything().splitlines()
    for name in [*objectives.names(), *models.names(), *catalogue.names()]:
        found = [line for line in lines if line.split()[:1] == [name]]
        assert len(found) == 1, name
        assert len(found[0].split()) > 3, f"{name} says nothing of itself"
