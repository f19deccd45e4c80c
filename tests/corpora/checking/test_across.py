"""What comes again is found over all jobs, and clusters have one head."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sightword.corpora.checking.across import Repeated, Rows, repeated
from sightword.corpora.checking.findings import Findings
from sightword.corpora.checking.looking import Kept
from sightword.corpora.fingerprints import ROW


def job(folder: Path, number: int, rows: list[tuple[int, int, int]], captions: list[int]) -> Kept:
    """A job's files; a row is (key, file, coarse)."""
    table = np.zeros(len(rows), dtype=ROW)
    for place, (key, file, coarse) in enumerate(rows):
        table[place]["key"], table[place]["file"], table[place]["coarse"] = key, file, coarse
        table[place]["looks"] = True
    kept = Kept(folder / str(number))
    np.save(kept.stem.with_suffix(".rows.npy"), table)
    np.save(kept.stem.with_suffix(".captions.npy"), np.array(captions, dtype=np.uint64))
    keys = [f"{number}-{place}" for place in range(len(rows))]
    kept.stem.with_suffix(".keys.json").write_text(json.dumps({"shard": f"shard {number}", "keys": keys}))
    return kept


def found(folder: Path, jobs: list[Kept]) -> tuple[Repeated, list[tuple[str, str, str]]]:
    with (folder / "findings").open("wb") as file:
        told = repeated(Rows(jobs), Findings(file))
    entries = [json.loads(line) for line in (folder / "findings").read_bytes().splitlines()]
    return told, [(entry["kind"], entry["key"], entry["reason"]) for entry in entries]


def test_over_jobs(tmp_path: Path) -> None:
    far = [1 << 40, (1 << 60) - 1, 0b11011 << 30]
    jobs = [
        job(tmp_path, 0, [(1, 1, far[0]), (2, 2, far[1])], [8, 9]),
        job(tmp_path, 1, [], []),
        job(tmp_path, 2, [(1, 3, far[2]), (3, 2, far[1]), (4, 4, far[0] ^ 1), (5, 5, far[0] ^ 3)], [9, 7, 9]),
    ]
    told, entries = found(tmp_path, jobs)
    assert entries == [
        ("same-key", "2-0", "the same key as '0-0' in 'shard 0'"),
        ("same-picture", "2-1", "the same bytes as '0-1' in 'shard 0'"),
        ("near-copy", "2-2", "looks like '0-0' in 'shard 0'"),
        ("near-copy", "2-3", "looks like '0-0' in 'shard 0'"),
    ]
    assert told.repeated_captions == pytest.approx(3 / 5)
    assert told.near_share == pytest.approx(3 / 6)


def test_rows_are_taken_from_where_they_lie(tmp_path: Path) -> None:
    rows = Rows([job(tmp_path, n, [(10 * n + place, 0, 0) for place in range(n)], []) for n in (0, 3, 2)])
    assert len(rows) == 5
    assert rows.column("key").tolist() == [30, 31, 32, 20, 21]
    assert rows.take(np.array([4, 0, 3, 2], dtype=np.int64))["key"].tolist() == [21, 30, 20, 32]
    assert [rows.name(number) for number in range(5)] == [
        ("shard 3", "3-0"),
        ("shard 3", "3-1"),
        ("shard 3", "3-2"),
        ("shard 2", "2-0"),
        ("shard 2", "2-1"),
    ]


def test_of_nothing_nothing_comes_again(tmp_path: Path) -> None:
    told, entries = found(tmp_path, [job(tmp_path, 0, [], [])])
    assert not entries
    assert told.near_share == 0
