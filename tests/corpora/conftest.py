"""A cache folder that is not the user's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTWORD_CACHE", str(folder))
        yield folder
