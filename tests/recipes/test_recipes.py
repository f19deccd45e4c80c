"""Every recipe and model that the command line offers is whole; a user's broken one is told in one line."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

import sightword.recipes
from sightword.cli import commands, configure
from sightword.config import Config, from_toml, to_toml
from sightword.errors import SightwordError
from sightword.objectives import catalogue as objectives
from sightword.recipes import catalogue, general, listing, models
from sightword.towers.build import build_image, build_text
from sightword.words import Surroundings


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


def about(name: str) -> str:
    """What a recipe and its file say."""
    recipe = catalogue.names()[name]
    return f"{inspect.getdoc(recipe)}\n{inspect.getmodule(recipe).__doc__}"


PAPERS = [name for name in catalogue.names() if "arXiv" in about(name)]


def test_papers_are_found() -> None:
    assert len(PAPERS) > 40
    assert not [name for name in PAPERS if name.startswith("demo")]


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_recipe_says_how_it_is_run_and_what_to_expect(name: str) -> None:
    said = about(name)
    command = re.search(r"^ *torchrun ([^\\\n]*(?:\\\n[^\\\n]*)*)", said, re.MULTILINE)
    assert command is not None, "the command"
    words = shlex.split(command[1].replace("\\\n", " "))
    given = commands.parse(words[words.index("sightword") + 1 :])
    assert given.recipe in catalogue.names()
    assert given.pairs.data
    configure(given)
    assert re.search(r"\b[Hh]ardware", said)
    assert re.search(r"\b[Uu]nknown|[Nn]ot reproduced|[Dd]eviation", said)
    assert re.search(r"\d\d\.\d|[Pp]ublished", said), "a published figure, or that there is none"


def test_no_two_recipes_are_the_same_run() -> None:
    seen: dict[str, str] = {}
    for name, make in catalogue.names().items():
        text = to_toml(make())
        assert text not in seen, f"{name} is {seen[text]}"
        seen[text] = name


def test_every_objective_has_a_recipe() -> None:
    sums = [make().objective for make in catalogue.names().values()]
    used = {wish.name for text in sums for wish in objectives.parse(text)}
    assert set(objectives.names()) - used == set()


@pytest.mark.parametrize("name", models.names())
def test_a_model_is_called_what_it_says(name: str) -> None:
    model = models.find(name)
    assert model.name == name
    assert general.plain(name).model == model


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(
        SightwordError, match="unknown recipe 'slip-vit-b16-yfcc'; did you mean slip-vit-b16-yfcc15m"
    ):
        catalogue.find("slip-vit-b16-yfcc")
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
