"""Findings are counted, written as JSON lines, and said in one line a kind, problems first."""

from __future__ import annotations

import json
from pathlib import Path

from sightword.corpora.checking.findings import Findings, Kind, summary


def test_counted_written_and_said(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb") as file:
        findings = Findings(file)
        findings.add(Kind.TINY, "a.tar", "x", "1 x 1 pixels")
        findings.add(Kind.NO_CAPTION, "a.tar", "y\ud800", 'only "y.jpg"')
        findings.add(Kind.TINY, "b.tar", "z", "2 x 1 pixels")
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["tiny", "no-caption", "tiny"]
    assert lines[0] == {"kind": "tiny", "shard": "a.tar", "key": "x", "reason": "1 x 1 pixels"}
    said = list(summary(findings.counts, findings.firsts))
    assert said[0].startswith("problem: no-caption 1, ")
    assert said[1].startswith("note: tiny 2, pictures of a few pixels (x in a.tar: 1 x 1 pixels); ")


def test_kinds_have_names_of_their_own_and_say_what_to_do() -> None:
    assert len({kind.title for kind in Kind}) == len(Kind)
    assert all(kind.meaning and kind.do for kind in Kind)
