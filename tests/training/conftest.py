"""One small shard for all tests of training, and a throwaway objective with momentum teachers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_runs import shard

import sightword.objectives

THROWAWAY = Path(__file__).parents[1] / "contracts" / "throwaway"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shard(tmp_path_factory.mktemp("data") / "pairs.tar")


@pytest.fixture
def byol(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """SIGHTWORD_PATH names a folder with an objective called `byol`."""
    monkeypatch.setenv("SIGHTWORD_PATH", str(THROWAWAY))
    monkeypatch.setattr(sightword.objectives, "__path__", list(sightword.objectives.__path__))
    yield THROWAWAY
    sys.modules.pop("sightword.objectives.byol", None)
