"""Runs whose captions are packed take the steps of runs that pad them: whatever is locked, cut or shared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from several_ranks import work_together
from tiny_runs import TEXT, VIT, tiny

from sightword.config import Config, LockConfig, ModelConfig, OptimizerConfig, TextTowerConfig
from sightword.towers import packing, text
from sightword.training.loop import train

LEARNING = OptimizerConfig(lr=1e-3, wd=0.1, warmup=0.2, ema=0.9, eps=1e-5)
TWO = replace(TEXT, layers=2)
WAYS: dict[str, tuple[TextTowerConfig, dict[str, Any]]] = {
    "plain": (TWO, {}),
    "chunks": (TWO, {"chunk": 3}),
    "recomputed": (TWO, {"grad_checkpointing": True}),
    "locked": (TWO, {"lock": LockConfig(text=True, text_unlocked_layers=1)}),
    "mean": (replace(TWO, pool="mean", attention="bidirectional"), {}),
    "class": (replace(TWO, pool="class", attention="bidirectional"), {"chunk": 4}),
    "hidden words": (
        TWO,
        {"objective": "clip + mae-clip(decoder_width=16, decoder_layers=1, decoder_heads=2)", "chunk": 5},
    ),
    "siglip": (TWO, {"objective": "siglip"}),
}


def run_of(out: Path, data: Path, tower: TextTowerConfig, **changes: Any) -> Config:
    model = ModelConfig("tiny", VIT, tower, embed=16)
    settings = {"steps": 3, "ranks": 1, "optimizer": LEARNING, "model": model}
    return tiny(out, data, **{**settings, **changes})


def losses(config: Config) -> list[dict[str, float]]:
    lines = (Path(config.out) / "metrics.jsonl").read_text().splitlines()
    steps = [record for record in map(json.loads, lines) if record["kind"] == "step"]
    return [{"loss": record["loss"], "grad_norm": record["grad_norm"]} for record in steps]


def train_packed(configs: Sequence[Config]) -> None:
    """Every batch is packed, one group for each length; several processes call this as well."""
    packed = list[bool]()

    def pack(*given: Any) -> packing.Packing | None:
        made = before(*given)
        packed.append(made is not None and len(made.groups) > 1)
        return made

    before, extra = text.pack, packing._GROUP["cpu"]
    text.pack, packing._GROUP["cpu"] = pack, 0
    try:
        for config in configs:
            train(config, say=lambda said: None)
    finally:
        text.pack, packing._GROUP["cpu"] = before, extra
    assert packed
    assert sum(packed) >= 0.8 * len(packed)


def train_padded(config: Config, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as mine:
        mine.setattr(text, "pack", lambda *_: None)
        train(config, say=lambda said: None)


def assert_same(one: Config, other: Config) -> None:
    pairs = list(zip(losses(one), losses(other), strict=True))
    assert len(pairs) == one.steps
    for found, wanted in pairs:
        assert found == pytest.approx(wanted, rel=2e-5)


@pytest.mark.parametrize("way", WAYS)
def test_the_steps_are_the_same(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    tower, changes = WAYS[way]
    packed, padded = (run_of(tmp_path / name, data, tower, **changes) for name in ("packed", "padded"))
    train_packed([packed])
    train_padded(padded, monkeypatch)
    assert_same(packed, padded)


def test_two_processes_pack_their_own_rows(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As copies and in pieces, against one process that pads."""
    runs = [run_of(tmp_path / kind, data, TWO, parallel=kind) for kind in ("ddp", "fsdp")]
    work_together(train_packed, 2, runs)
    alone = run_of(tmp_path / "alone", data, TWO)
    train_padded(alone, monkeypatch)
    for one in runs:
        assert_same(one, alone)
