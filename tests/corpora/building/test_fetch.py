from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_packages import npm_package

from sightword.corpora.building.fetch import Package, obtain
from sightword.errors import SightwordError

ICONS, WORDS = Package("npm", "@x/icons", "1.0.0"), Package("npm", "words", "2.0.0")


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """An npm that hands out what lies in a folder, and writes down how it was called."""
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    served, tools = tmp_path / "served", tmp_path / "tools"
    served.mkdir()
    tools.mkdir()
    tool = tools / "npm"
    tool.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        f'cp {served}/*.tgz . 2>/dev/null || {{ echo "npm error code E404" >&2; exit 1; }}\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    return served


def test_what_is_given_is_used_whatever_its_file_is_called(tmp_path):
    icons = npm_package(tmp_path / "a", "@x/icons", "1.0.7", {})
    words = npm_package(tmp_path / "b", "words", "2.0.0", {})
    found = obtain([ICONS, WORDS], [words, icons])
    assert list(found) == ["@x/icons", "words"]
    assert {name: (archive.path, archive.version) for name, archive in found.items()} == {
        "@x/icons": (icons, "1.0.7"),
        "words": (words, "2.0.0"),
    }


def test_what_is_missing_is_fetched_once_and_kept(npm, tmp_path):
    npm_package(npm / "x-icons-1.0.0.tgz", "@x/icons", "1.0.0", {"a": b"1"})
    first = obtain([ICONS], [])["@x/icons"]
    again = obtain([ICONS], [])["@x/icons"]
    assert first == again
    assert first.read("a") == b"1"
    assert (tmp_path / "calls").read_text().splitlines() == ["pack --ignore-scripts @x/icons@1.0.0"]
    assert first.path.is_relative_to(tmp_path / "cache")


def test_a_failure_says_what_to_run_by_hand(npm):
    with pytest.raises(
        SightwordError, match=r"E404.*run `npm pack --ignore-scripts @x/icons@1.0.0`.*--archive"
    ):
        obtain([ICONS], [])
    npm_package(npm / "other-1.0.0.tgz", "other", "1.0.0", {})
    with pytest.raises(SightwordError, match=r"is other@1\.0\.0; run `npm pack"):
        obtain([ICONS], [])


def test_a_missing_tool_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SightwordError, match=r"apt-get is not installed.*`apt-get download art`"):
        obtain([Package("apt", "art")], [])


def test_an_archive_nobody_uses_is_an_error(tmp_path):
    other = npm_package(tmp_path / "o", "other", "1.0.0", {})
    with pytest.raises(SightwordError, match=r"other@1\.0\.0, which is not used here.*@x/icons, words"):
        obtain([ICONS, WORDS], [other])
    icons = npm_package(tmp_path / "i", "@x/icons", "1.0.0", {})
    with pytest.raises(SightwordError, match="given twice"):
        obtain([ICONS], [icons, Path(icons)])
