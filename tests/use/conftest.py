"""A model that has learned what colours squares have."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_shard import small_shard
from squares import learn
from tiny_runs import tiny

from sightword.training.loop import train
from sightword.use.model import UsableModel, load


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step, whose weights have then learned the squares by heart, all at once and quickly."""
    folder = tmp_path_factory.mktemp("use")
    out = train(
        tiny(folder / "squares", small_shard(folder / "pairs.tar", 24), steps=1), say=lambda said: None
    )
    learn(out)
    return out


@pytest.fixture(scope="session")
def model(run: Path) -> UsableModel:
    return load(run, device="cpu")
