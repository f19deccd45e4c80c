"""A page about three runs, written once for every test of this room."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from synthetic_runs import write_demo_tar, write_three_runs

import sightword.evaluation.demo
import sightword.report.licences
from sightword.pairs.sources import open_pairs
from sightword.report.page import write_report


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar that takes the place of the embedded demo."""
    path = tmp_path_factory.mktemp("data") / "small.tar"
    write_demo_tar(path)
    return path


@pytest.fixture
def demo_is_small(small_demo: Path) -> Iterator[None]:
    """While a test runs, `demo` means the small tar."""
    with pytest.MonkeyPatch.context() as patch:
        take_demo_place(patch, small_demo)
        yield


@pytest.fixture(scope="session")
def three_runs(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Directories of three scored runs."""
    with pytest.MonkeyPatch.context() as patch:
        take_demo_place(patch, small_demo)
        return write_three_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def page(three_runs: list[Path], small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page about them."""
    with pytest.MonkeyPatch.context() as patch:
        take_demo_place(patch, small_demo)
        return write_report(three_runs, tmp_path_factory.mktemp("page") / "report.html")


def take_demo_place(patch: pytest.MonkeyPatch, tar: Path) -> None:
    """Pairs of the demo come from this tar."""
    small = partial(_open, tar)
    patch.setattr(sightword.evaluation.demo, "open_pairs", small)
    patch.setattr(sightword.report.licences, "open_pairs", small)


def _open(tar: Path, path: str, split: str = "") -> object:
    assert path == "demo"
    return open_pairs(str(tar), split)
