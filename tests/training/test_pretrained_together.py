"""Several processes that start from weights from elsewhere: all from the same, and as one process does."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import elsewhere
import pytest
from safetensors.torch import load_file, save_file
from several_ranks import work_together
from tiny_runs import SIMCLR, tiny
from torch import Tensor

from sightword.config import Config, ModelConfig, OptimizerConfig
from sightword.recipes.starting import from_weights
from sightword.training.loop import Loop, train
from sightword.training.records import read_records
from sightword.training.session import begin
from sightword.weights import hf_clip

RANKS, STEPS = 2, 3
TIMES = ("begun", "ended")
# Biases whose gradient is nothing but rounding are not to be scaled up to whole steps.
LEARNING = OptimizerConfig(lr=5e-4, warmup=0.2, eps=1e-5)
POSITIONS = "towers.image.positions"  # resized: the pictures are larger than those that the weights saw


def as_published(folder: Path) -> dict[str, Tensor]:
    """A tiny CLIP as Hugging Face's folders are; returns its weights by our names."""
    image = replace(elsewhere.VIT, eps=1e-5, activation="quick_gelu")
    text = replace(elsewhere.TEXT, eps=1e-5, activation="quick_gelu")
    model = ModelConfig("published", image, text, embed=8)
    ours = elsewhere.encoders(model, seed=5).state_dict()
    folder.mkdir()
    theirs = hf_clip.table(model).outward(ours)
    save_file({name: tensor.contiguous() for name, tensor in theirs.items()}, folder / "model.safetensors")
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_act": "quick_gelu"}
    words = {"hidden_size": 16, "intermediate_size": 64, "max_position_embeddings": 12, **shape}
    sight = {"hidden_size": 24, "intermediate_size": 96, "image_size": 16, "patch_size": 4, **shape}
    config = {"model_type": "clip", "text_config": words, "vision_config": sight}
    (folder / "config.json").write_text(json.dumps(config))
    return ours


def run_of(out: Path, data: Path, weights: Path, parallel: str) -> Config:
    """Three steps of a sum, with heads of its own that start fresh, on pictures of 24 px."""
    changes = {"steps": STEPS, "parallel": parallel, "ranks": 1, "optimizer": LEARNING}
    config = tiny(out, data, f"clip + {SIMCLR}", **changes)
    config = from_weights(config, str(weights), own_model=False)
    return replace(config, model=replace(config.model, image=replace(config.model.image, size=24)))


def begin_and_end(config: Config, place: Path) -> None:
    """Train, and write down what this process itself began and ended with."""
    session, rank = begin(config), os.environ["RANK"]
    write(session.model.state_dict(), place / f"begun-{rank}.safetensors")
    Loop(session, None, lambda said: None).run()
    write(session.model.state_dict(), place / f"ended-{rank}.safetensors")


def write(tensors: Mapping[str, Tensor], file: Path) -> None:
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, file)


def steps(out: Path) -> list[dict[str, Any]]:
    return [record for record in read_records(out / "metrics.jsonl") if record["kind"] == "step"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("published") / "weights"
    return folder, as_published(folder)


@pytest.fixture(scope="module")
def alone(weights: tuple[Path, dict[str, Tensor]], data: Path) -> Path:
    """What one process makes of it."""
    return train(run_of(weights[0].parent / "one", data, weights[0], "auto"), say=lambda said: None)


def test_two_processes_start_from_the_same_weights_and_learn_what_one_learns(
    tmp_path: Path, data: Path, weights: tuple[Path, dict[str, Tensor]], alone: Path
) -> None:
    config = run_of(tmp_path / "two", data, weights[0], "ddp")
    work_together(begin_and_end, RANKS, config, tmp_path)
    begun, ended = ([load_file(tmp_path / f"{when}-{r}.safetensors") for r in range(RANKS)] for when in TIMES)
    given = {name: tensor for name, tensor in weights[1].items() if not name.startswith(POSITIONS)}
    assert len(given) > 30
    for mine in begun:
        assert all(mine[f"encoders.{name}"].equal(tensor) for name, tensor in given.items())
    for each in (begun, ended):  # heads that start fresh and positions that were resized, too
        assert each[0].keys() == each[1].keys()
        assert all(each[0][name].equal(each[1][name]) for name in each[0])
    assert any(not ended[0][name].equal(begun[0][name]) for name in begun[0])
    _assert_alike(alone, Path(config.out))


def test_in_pieces_they_start_from_the_same_weights(
    tmp_path: Path, data: Path, weights: tuple[Path, dict[str, Tensor]], alone: Path
) -> None:
    config = run_of(tmp_path / "two", data, weights[0], "fsdp")
    work_together(train, RANKS, config)
    _assert_alike(alone, Path(config.out))


def _assert_alike(one: Path, two: Path) -> None:
    """The same losses of the same global batches from the first on, and the same weights at the end."""
    alone, together = steps(one), steps(two)
    assert len(alone) == len(together) == STEPS
    assert together[0]["loss"] == pytest.approx(alone[0]["loss"], rel=3e-5)
    assert together[0]["terms"]["clip"]["loss"] == pytest.approx(alone[0]["terms"]["clip"]["loss"], rel=1e-6)
    assert [s["loss"] for s in together] == pytest.approx([s["loss"] for s in alone], rel=1e-4)
    mine, theirs = (load_file(out / "model.safetensors") for out in (one, two))
    assert mine.keys() == theirs.keys()
    apart = {name: float((mine[name] - theirs[name]).abs().max()) for name in mine}
    assert max(apart.values()) < 1e-4, max(apart, key=apart.__getitem__)
    start = [next(r for r in read_records(o / "metrics.jsonl") if r["kind"] == "start") for o in (one, two)]
    assert start[0]["pretrained"] == start[1]["pretrained"]
