from __future__ import annotations

from pathlib import Path

import pytest
from colour_sets import ColourModel, write_folder


@pytest.fixture
def model() -> ColourModel:
    return ColourModel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "colours")
