"""What takes long shows how far it is, and large JSON files come out as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sightword.evaluation import jsonfiles, progress
from sightword.evaluation.jsonfiles import load_json
from sightword.evaluation.progress import watched


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "OFTEN", 0.0)
    monkeypatch.setattr(progress, "BETWEEN", 0.0)


def test_steps_are_the_same_and_told(impatient: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(watched("abc", 6, "letters", 2)) == ["a", "b", "c"]
    said = [line.split(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == ["letters: 2/6", "letters: 4/6", "letters: 6/6"]


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[{}]")
    assert load_json(tmp_path / "a.json", lambda row: row) == [{}]
    assert sum(watched(range(5), 5, "numbers")) == 10
    assert capsys.readouterr().err == ""


def test_a_bar_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, updates = 0.0, list[float]()
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    monkeypatch.setattr(
        "rich.progress.Progress.update", lambda *rest, **facts: updates.append(facts["completed"])
    )
    for _ in watched(range(1000), 1000, "numbers"):
        now += 0.001
    assert 15 < len(updates) < 21
    assert updates == sorted(updates)


def test_reading_and_parsing_are_told(
    impatient: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jsonfiles, "PIECE", 1000)
    monkeypatch.setattr(jsonfiles, "MIB", 500)
    monkeypatch.setattr(jsonfiles, "EACH", 10)
    content = {"rows": [{"id": i, "word": "\u00e9{}\u4e2d", "more": {"x": [i]}} for i in range(50)]}
    path = tmp_path / "large.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    kept: list[Any] = []
    assert load_json(path, lambda row: kept.append(row) or row) == content
    assert len(kept) == 101
    said = capsys.readouterr().err.splitlines()
    size = -(-path.stat().st_size // 500)
    assert said[0].startswith(f"reading large.json, MiB: 2/{size},")
    parsed = [line for line in said if line.startswith("parsing large.json, objects: ")]
    assert [line.split(": ")[1].split("/")[0] for line in parsed] == [str(10 * i) for i in range(1, 10)]
    assert "/151," in parsed[0]  # braces; 50 of them are inside of words


@pytest.mark.parametrize(("data", "error"), [(b"[{}", json.JSONDecodeError), (b"[\xff]", UnicodeDecodeError)])
def test_what_is_not_json_is_an_error(tmp_path: Path, data: bytes, error: type[Exception]) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(error):
        load_json(tmp_path / "a.json", lambda row: row)
