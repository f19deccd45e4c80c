"""What is said where a library is not there, or breaks when it is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.towers.borrowing import library


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its modules can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_a_library_that_is_there(folder: Path) -> None:
    (folder / "lent_sound.py").write_text("answer = 42")
    assert library("lent_sound", "--model x", "some").answer == 42


def test_a_library_that_is_not_installed() -> None:
    with pytest.raises(
        SightwordError, match=r"--model x needs the package lent_none, which is not installed; run"
    ):
        library("lent_none", "--model x", "some")


def test_a_library_that_lacks_another(folder: Path) -> None:
    (folder / "lent_poor.py").write_text("import lent_missing")
    with pytest.raises(
        SightwordError, match=r"cannot be imported .*No module named 'lent_missing'.*pip install"
    ):
        library("lent_poor", "--model x", "some")


def test_the_innermost_cause_is_told(folder: Path) -> None:
    """As transformers beside a torchvision that does not fit torch."""
    (folder / "lent_wrapped.py").write_text(
        "try:\n    raise RuntimeError('operator torchvision::nms does not exist')\n"
        "except RuntimeError as error:\n    raise ModuleNotFoundError('Could not import') from error\n"
    )
    with pytest.raises(
        SightwordError, match=r"torchvision::nms does not exist\); install the torchvision made for"
    ):
        library("lent_wrapped", "--model x", "some")
