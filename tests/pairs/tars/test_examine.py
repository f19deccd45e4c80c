from __future__ import annotations

import os
from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.pairs.tars import examine as room
from sightword.pairs.tars.examine import examine_tar, examine_tars, repeated_keys
from sightword.pairs.tars.survey import index_shards


@pytest.fixture
def paths(make_pairs) -> list[str]:
    """Four tars."""
    return [str(make_pairs(f"cc/{shard}.tar", 2 + shard, 10 * shard)) for shard in range(4)]


def forget(paths: list[str]) -> list[Path]:
    """Remove the tars' sidecars; those that there were."""
    found = [sidecar for path in paths for sidecar in Path(path).parent.glob(f"{Path(path).name}.*.npz")]
    for sidecar in found:
        sidecar.unlink()
    return found


def test_processes_find_what_one_finds(paths, monkeypatch):
    alone = [examine_tar(path) for path in paths]
    assert [size for size, _ in alone] == [os.path.getsize(path) for path in paths]
    assert [facts.report.samples for _, facts in alone] == [2, 3, 4, 5]
    assert len(forget(paths)) == 4
    monkeypatch.setattr(room, "PATIENCE", -1.0)
    assert examine_tars(paths, processes=2) == alone
    assert examine_tars(paths, processes=2) == alone  # from what the processes stored
    assert examine_tars(paths, processes=1) == alone
    assert examine_tars([]) == []
    assert len(forget(paths)) == 4


def test_a_bar_shows_how_far_it_is(paths, monkeypatch):
    shown = []

    class Shown:
        def __init__(self, title: str, total: int, unit: str) -> None:
            shown.append([title, total, unit, 0])

        def __enter__(self):
            return self

        def __exit__(self, *error: object) -> None:
            shown[-1].append("closed")

        def add(self, count: int) -> None:
            shown[-1][3] += count

    monkeypatch.setattr(room, "Bar", Shown)
    examine_tars(paths)
    assert shown == []  # it took less than two seconds
    monkeypatch.setattr(room, "PATIENCE", -1.0)
    size = sum(os.path.getsize(path) for path in paths)
    for processes in (1, 2):
        forget(paths)
        examine_tars(paths, processes)
        assert shown.pop() == ["indexing 4 shards", size, "bytes", size, "closed"]


def test_a_bad_shard_stops_the_others(paths, monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", -1.0)
    with pytest.raises(SightwordError, match=r"nothing\.tar"):
        examine_tars([*paths[:2], f"{paths[0]}-nothing.tar", *paths[2:]], processes=2)


def test_keys_that_come_again_are_counted(paths, make_pairs, tmp_path):
    assert repeated_keys(paths) == 0
    more = str(make_pairs("more.tar", 4, 11))  # 11 is in the second tar, 12 too, 13 and 14 nowhere
    assert repeated_keys([*paths, more]) == 2
    assert repeated_keys([more, more, more]) == 8
    forget([more])
    assert repeated_keys([*paths, more]) == 2
    assert repeated_keys([]) == 0
    (indexed,) = index_shards([more])
    assert indexed.repeated_keys == 0


def test_a_process_that_dies_is_told(paths, monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", -1.0)
    monkeypatch.setattr(room, "examine_tar", lambda path, tick: os._exit(1))
    with pytest.raises(SightwordError, match=r"a process that examined shards died, .* start again"):
        examine_tars(paths, processes=2)
