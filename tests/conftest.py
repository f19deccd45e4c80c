"""Shared by every test: one thread, so that small tensors are fast and numbers repeat; a cache of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Path]:
    """The cache folder of all tests, which is not the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTWORD_CACHE", str(folder))
        yield folder
