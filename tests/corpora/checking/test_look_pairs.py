"""Any pairs are cut into jobs that cover them once, and a source that fails is told by sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_shard import small_shard

from sightword.corpora.checking import look_pairs
from sightword.corpora.checking.look_pairs import PairsJob, PairsLooking, look_at_pairs, pairs_jobs, readable
from sightword.corpora.checking.looking import Look, Looking
from sightword.errors import BadSample
from sightword.pairs.base import Pairs
from sightword.pairs.sources import open_pairs


def test_jobs_cover_every_pair_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_pairs, "AT_ONCE", 4)
    sources = tuple(
        (str(count), open_pairs(str(small_shard(tmp_path / f"{count}.tar", count)))) for count in (9, 4)
    )
    jobs = list(pairs_jobs(sources, 5))
    assert [job.number for job in jobs] == [5, 6, 7, 8]
    assert [(job.source, job.start, job.stop) for job in jobs] == [(0, 0, 4), (0, 4, 8), (0, 8, 9), (1, 0, 4)]


def test_a_source_that_becomes_shorter_is_told_by_sample(tmp_path: Path) -> None:
    path = small_shard(tmp_path / "a.tar", 9)
    pairs = open_pairs(str(path))
    assert pairs[0].key == "0000"  # the shard is open
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    context = PairsLooking(Looking(tmp_path, "", 1.0, False), (("a", pairs),))
    ticks: list[int] = []
    told = look_at_pairs(context, PairsJob(0, 0, 0, 9), ticks.append)
    assert told.tally.samples == 9
    assert 0 < told.tally.decoded < 9
    assert [kind.title for kind in told.counts] == ["unreadable"]
    assert sum(ticks) == 9


def test_what_is_not_forgiven_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: Pairs, number: int) -> None:
        raise BadSample("k", "cut short") if number == 0 else OSError("the disk is gone")

    pairs = open_pairs(str(small_shard(tmp_path / "a.tar", 3)))
    monkeypatch.setattr(type(pairs), "__getitem__", gone)
    context = PairsLooking(Looking(tmp_path, "", 1.0, False), (("a", pairs),))
    ticks: list[int] = []
    with Look(context.looking, 0, "a") as look:
        with pytest.raises(OSError, match="the disk is gone"):
            list(readable(context, PairsJob(0, 0, 0, 3), look, ticks.append))
        assert (look.tally.samples, ticks) == (1, [1])
        assert list(readable(context, PairsJob(0, 0, 0, 3), look, ticks.append, OSError)) == []
        assert (look.tally.samples, ticks) == (4, [1, 1, 1, 1])
