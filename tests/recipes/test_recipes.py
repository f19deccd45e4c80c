"""Every recipe and model that the command line offers is whole; a user's broken one is told in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import sightword.recipes
from sightword.config import Config, from_toml, to_toml
from sightword.errors import SightwordError
from sightword.objectives import catalogue as objectives
from sightword.recipes import catalogue, general, listing, models
from sightword.towers.build import build_image, build_text
from sightword.words import Surroundings

PAPERS = [name for name in catalogue.names() if name.endswith("yfcc15m")]


@pytest.mark.parametrize("name", catalogue.names())
def test_a_recipe_is_a_run_that_could_start(name: str) -> None:
    config = catalogue.find(name)
    assert from_toml(Config, to_toml(config)) == config
    assert bool(config.steps) != bool(config.epochs), "either steps or epochs"
    assert 0 < config.optimizer.warmup < 1
    with torch.device("meta"):
        image = build_image(config.model.image)
        text = build_text(config.model.text, vocab=config.data.vocab, pad=0, eot=1)
        for wish in objectives.parse(config.objective):
            wants = objectives.build(wish, Surroundings(image.facts, text.facts)).wants
            assert wants


@pytest.mark.parametrize("name", models.names())
def test_a_model_is_called_what_it_says(name: str) -> None:
    model = models.find(name)
    assert model.name == name
    assert general.plain(name).model == model


@pytest.mark.parametrize("name", PAPERS)
def test_slips_recipes_see_what_the_paper_saw(name: str) -> None:
    """2112.12750, appendix A: 25 epochs at 4096 pairs a step, one epoch of warm-up, CLIP's vocabulary."""
    config = catalogue.find(name)
    assert (config.batch_size, config.epochs, config.optimizer.warmup) == (4096, 25, 1 / 25)
    assert (config.optimizer.betas, config.optimizer.eps) == ((0.9, 0.98), 1e-8)
    assert (config.optimizer.lr_start, config.optimizer.lr_end) == (1e-6, 1e-5)
    assert config.data.tokenizer == "clip"
    assert (config.model.embed, config.model.text.width, config.model.text.context) == (512, 512, 77)
    published = {"clip": (5e-4, 0.5), "simclr": (3.2e-3, 0.1), "slip": (3e-3, 0.1)}
    assert (config.optimizer.lr, config.optimizer.wd) == published[name.partition("-")[0]]


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(SightwordError, match="unknown recipe 'slip-vit-b16'; did you mean slip-vit-b16-yfcc"):
        catalogue.find("slip-vit-b16")
    with pytest.raises(SightwordError, match="unknown model 'vit-tinny'; did you mean vit-tiny"):
        models.find("vit-tinny")


def test_the_listing_has_a_line_for_everything() -> None:
    lines = listing.everything().splitlines()
    for name in [*objectives.names(), *models.names(), *catalogue.names()]:
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert len(line.split()) > 3, f"{name} does not say what it is"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "from sightword.config import Config\ndef mine( -> Config: ...",
            "cannot be imported: invalid syntax",
        ),
        ("import nowhere\ndef mine() -> 'Config': ...", "cannot be imported: No module named 'nowhere'"),
    ],
)
def test_a_users_broken_recipe_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "broken_idea.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("SIGHTWORD_PATH", str(tmp_path))
    monkeypatch.setattr(sightword.recipes, "__path__", list(sightword.recipes.__path__))
    with pytest.raises(SightwordError, match=said) as caught:
        catalogue.names()
    assert "broken_idea.py" in str(caught.value)
    sys.modules.pop("sightword.recipes.broken_idea", None)
