"""Weights of others from the command to the folder: what is adapted is theirs, whole or by adapters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_adaptation import command, sources
from small_shard import picture
from tiny_runs import TEXT, shard, tiny
from torch import Tensor

import sightword
from sightword.cli import main
from sightword.export.open_clip_folder import OpenClip
from sightword.training.loop import train
from sightword.training.model import load_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as open_clip keeps it, under `start`; data and reference of the small adaptation beside it."""
    made = tmp_path_factory.mktemp("foreign")
    sources(made)
    config = tiny(made / "ours", shard(made / "other.tar", 24), steps=2)
    text = replace(TEXT, attention="causal", pool="eot")
    train(replace(config, model=replace(config.model, text=text)), say=lambda line: None)
    (made / "start").mkdir()
    OpenClip().write(load_model(made / "ours", "cpu"), made / "start")
    return made


def adapted(folder: Path, out: Path, rank: int) -> Path:
    """The small adaptation of the foreign folder, in six steps and with two looks less than twenty."""
    given = command(folder, out)
    given[given.index("--epochs") + 1] = "2"
    main([*given, "--lora-rank", str(rank)])
    return out


def tensors(out: Path) -> tuple[dict[str, Tensor], ...]:
    """Before, after, and what is taken."""
    return tuple(load_file(out / name / "model.safetensors") for name in ("start", "run", "adapted"))


def records(file: Path, kind: str) -> list[dict[str, Any]]:
    return [one for line in file.read_text().splitlines() if (one := json.loads(line))["kind"] == kind]


def test_whole_weights_of_others_are_adapted(folder: Path) -> None:
    out = adapted(folder, folder / "whole", rank=0)
    ours = load_file(folder / "ours" / "model.safetensors")
    start, end, made = tensors(out)
    assert start.keys() == end.keys() == made.keys() == ours.keys()
    assert all(torch.equal(start[name], ours[name]) for name in start)
    still = [name for name in start if name.endswith("weight") and torch.equal(start[name], end[name])]
    assert still == []
    (begun,) = records(out / "run" / "metrics.jsonl", "start")
    assert "open_clip" in json.dumps(begun)
    (about,) = records(out / "adapt.jsonl", "adapt")
    assert about["weights"] == str(folder / "start")
    (folder / "start").rename(folder / "away")  # nothing that is done needs their file
    main(["adapt", "--out", str(out), "--page"])
    model = sightword.load(out / "adapted", "cpu")
    (folder / "away").rename(folder / "start")
    assert model.encode_image(picture(0)[0], project=True).shape == (1, 16)


def test_adapters_are_merged_into_weights_of_others(folder: Path) -> None:
    pytest.importorskip("peft", reason="adapters want the extra sightword[lora]")
    start, end, made = tensors(adapted(folder, folder / "lora", rank=2))
    assert start.keys() == end.keys() == made.keys()  # no adapter is left
    changed = [
        name for name in start if name.startswith("towers.") and not torch.equal(start[name], end[name])
    ]
    assert {name.split(".")[1] for name in changed} == {"image", "text"}
    for name in changed:
        assert ".blocks." in name
        assert start[name].ndim == 2
        values = torch.linalg.svdvals((end[name] - start[name]).double())
        assert int((values > 1e-3 * values[0]).sum()) <= 6, name  # of rank 2, or three such side by side
