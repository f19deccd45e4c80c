"""SLIP's runs differ from one another in what the paper varies, and in nothing else."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace

import pytest

from sightword.config import Config
from sightword.objectives import catalogue as objectives
from sightword.recipes import catalogue, slip

MAIN = [name for name, make in catalogue.names().items() if inspect.getmodule(make) is slip]
ALL = [
    name
    for name, make in catalogue.names().items()
    if inspect.getmodule(make).__name__.startswith("sightword.recipes.slip")
]
OWN = [n for n in ALL if not n.endswith("-matched") and not n.startswith("mocov3")]
ARMS = {"clip": (5e-4, 0.5), "simclr": (3.2e-3, 0.1), "slip": (3e-3, 0.1)}


def matched() -> list[str]:
    return [name for name in ALL if name.endswith("-matched")]


@pytest.mark.parametrize("name", ALL)
def test_what_all_of_them_share(name: str) -> None:
    """2112.12750, appendix A: 4096 pairs a step, CLIP's vocabulary, AdamW's numbers."""
    config = catalogue.find(name)
    assert config.batch_size == 4096
    assert (config.optimizer.betas, config.optimizer.eps) == ((0.9, 0.98), 1e-8)
    assert (config.optimizer.lr_start, config.optimizer.lr_end) == (1e-6, 1e-5)
    assert config.optimizer.grad_clip == 0
    assert config.data.tokenizer == "clip"
    text = config.model.text
    assert (text.width, text.layers, text.heads, text.context) == (512, 12, 8, 77)
    assert config.model.embed == (1024 if "rn50" in name else 512)
    epochs = {"cc3m": 40, "cc12m": 35}.get(config.data.path, 25)
    longer = re.search(r"-(\d+)ep$", name)
    assert config.epochs == (int(longer[1]) if longer else epochs)
    assert config.optimizer.warmup * config.epochs == pytest.approx(2 if config.epochs == 100 else 1)


@pytest.mark.parametrize("name", OWN)
def test_each_arm_has_its_own_learning_rate_and_decay(name: str) -> None:
    config = catalogue.find(name)
    arm = "clip" if name.startswith("simclr-to-clip") else name.partition("-")[0]
    assert (config.optimizer.lr, config.optimizer.wd) == ARMS[arm]


@pytest.mark.parametrize("name", ALL)
def test_captions_are_chosen_as_the_released_data_sets_do(name: str) -> None:
    """datasets.py: a title or a description of YFCC15M, any caption of the list of CC3M and CC12M."""
    config = catalogue.find(name)
    wanted = {"yfcc15m": "title-or-description", "cc3m": "uniform", "cc12m": "uniform"}
    assert config.data.captions == wanted[config.data.path]


def test_every_size_has_its_rows() -> None:
    """The README of the released code: three arms of 25 epochs, and SLIP for 50 and 100, of three sizes."""
    rows = {f"{arm}-vit-{size}-yfcc15m" for arm in ARMS for size in ("s16", "b16", "l16")}
    rows |= {f"slip-vit-{size}-yfcc15m-{n}ep" for size in ("s16", "b16", "l16") for n in (50, 100)}
    assert {*rows, "clip-rn50-yfcc15m"} == set(MAIN)


def same_but(first: Config, second: Config, *names: str) -> bool:
    """Whether two runs agree in all but these fields of theirs, and differ in each of them."""
    changed = {name: getattr(first, name) for name in names}
    return replace(second, **changed) == first and all(getattr(first, n) != getattr(second, n) for n in names)


@pytest.mark.parametrize("name", matched())
def test_matched_runs_have_the_settings_of_the_other_arm(name: str) -> None:
    own = name.removesuffix("-matched")
    arm = name.partition("-")[0]
    other = own.replace(arm, {"clip": "slip", "slip": "clip"}[arm], 1)
    config = catalogue.find(name)
    assert same_but(config, catalogue.find(own), "optimizer")
    assert same_but(config, catalogue.find(other), "objective")


@pytest.mark.parametrize("arm", ["clip", "slip"])
def test_the_square_is_there_for_every_size_and_corpus(arm: str) -> None:
    published = {n for n in ALL if re.fullmatch(rf"{arm}-vit-(\w+-yfcc15m|b16-cc\w+)", n)}
    assert {f"{n}-matched" for n in published} == {n for n in matched() if n.startswith(arm)}
    assert len(published) == 5


def test_side_experiments_change_one_thing() -> None:
    clip, slip_run = catalogue.find("clip-vit-b16-yfcc15m"), catalogue.find("slip-vit-b16-yfcc15m")
    for name in ("byol", "beit"):
        assert same_but(catalogue.find(f"slip-{name}-vit-b16-yfcc15m"), slip_run, "objective")
    assert same_but(catalogue.find("slip-mocov3-vit-b16-yfcc15m"), slip_run, "objective", "model")
    assert same_but(catalogue.find("slip-decoupled-vit-b16-yfcc15m"), slip_run, "data")
    for view in ("colour", "crop", "all"):
        other = catalogue.find(f"clip-{view}-vit-b16-yfcc15m")
        assert same_but(other, clip, "objective")
        (wish,) = objectives.parse(other.objective)
        assert (wish.name, dict(wish.options)) == ("clip", {"view": view})
    sequence = catalogue.find("simclr-to-clip-vit-b16-yfcc15m")
    assert same_but(sequence, clip, "init_from")
    assert sequence.init_from.removeprefix("runs/") in catalogue.names()


def test_moco_v3_does_not_train_the_patch_embedding() -> None:
    for name in ("mocov3-vit-b16-yfcc15m", "slip-mocov3-vit-b16-yfcc15m"):
        assert catalogue.find(name).model.image.freeze_stem


@pytest.mark.parametrize("name", ALL)
def test_the_command_names_the_recipe_its_shards_and_a_global_batch_of_4096(name: str) -> None:
    said = inspect.getdoc(catalogue.names()[name])
    assert f"sightword train {name} " in said
    assert f"--data '{catalogue.find(name).data.path}/{{" in said
    nodes, processes, batch = (
        int(re.search(rf"--{flag} (\d+)", said)[1]) for flag in ("nnodes", "nproc-per-node", "batch-size")
    )
    assert nodes * processes * batch == 4096
