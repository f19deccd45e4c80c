"""One finished adaptation that all tests here read."""

from __future__ import annotations

import pytest
from small_adaptation import Small, adapted


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return adapted(tmp_path_factory.mktemp("adapting"))
