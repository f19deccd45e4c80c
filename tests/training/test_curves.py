"""Stored loss curves: a change that should change nothing must give the same losses again.

When a change is meant to change them (another initialisation, another draw), look at the new curves, then
write them anew and say why in the commit:

    RENEW_CURVES=1 python -m pytest tests/training/test_curves.py
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from small_shard import small_shard
from tiny_runs import MAE, RESNET, SIMCLR, VIT, tiny

from sightword.config import ImageTowerConfig
from sightword.training.loop import train
from sightword.training.records import read_records

CURVES = Path(__file__).parent / "curves"
RENEW = bool(os.environ.get("RENEW_CURVES"))
RUNS: dict[str, tuple[str, ImageTowerConfig]] = {
    "clip": ("clip", VIT),
    "clip-simclr": (f"clip + {SIMCLR}", VIT),
    "clip-mae": (f"clip + {MAE}", VIT),
    "clip-simclr-resnet": (f"clip + 0.5 * {SIMCLR}", RESNET),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_losses_are_what_they_were(tmp_path: Path, name: str) -> None:
    """Ten steps in fp32 on one thread; the tolerance is for other processors."""
    objective, image = RUNS[name]
    data = small_shard(tmp_path / "pairs.tar", 48)
    config = tiny(tmp_path / "run", data, objective, image=image, steps=10)
    config = replace(config, optimizer=replace(config.optimizer, lr=1e-3))
    records = read_records(train(config, say=lambda said: None) / "metrics.jsonl")
    found = [
        {"loss": r["loss"], **{term: values["loss"] for term, values in r["terms"].items()}}
        for r in records
        if r["kind"] == "step"
    ]
    file = CURVES / f"{name}.json"
    if RENEW:
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n")
    stored = json.loads(file.read_text())
    assert len(found) == len(stored) == 10
    for step, (ours, theirs) in enumerate(zip(found, stored, strict=True), start=1):
        assert ours == pytest.approx(theirs, rel=1e-4), f"step {step}"
    assert len({row["loss"] for row in stored}) == 10
