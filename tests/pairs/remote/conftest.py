"""A cache of its own for each test, no proxy to the loopback, and a network that nobody waits for long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sightword.pairs.remote.patience import Patience

QUICK = Patience(tries=25, pause=0.01, longest=0.05, timeout=2.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def quick() -> Patience:
    return QUICK


@pytest.fixture
def shards(make_pairs: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder of five shards of 30 pairs, some 40 kB each."""
    for number in range(5):
        make_pairs(f"served/{number:05d}.tar", 30, 30 * number)
    return tmp_path / "served"
