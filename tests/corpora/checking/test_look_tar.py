"""A tar is cut into jobs that cover it once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from small_shard import small_shard

from sightword.corpora.checking.look_tar import (
    LARGEST,
    MIB,
    SMALLEST,
    TarJob,
    look_at_tar,
    part_size,
    tar_jobs,
)
from sightword.corpora.checking.looking import Looking


@pytest.mark.parametrize("part", [1, 1000, 10**9])
def test_jobs_cover_every_byte_once(tmp_path: Path, part: int) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(3000))
    jobs = list(tar_jobs(path, part, 3))
    assert [job.number for job in jobs] == list(range(3, 3 + len(jobs)))
    assert (jobs[0].start, jobs[-1].stop) == (0, 3000)
    assert all(one.stop == other.start for one, other in pairwise(jobs))


def test_parts_are_neither_tiny_nor_huge() -> None:
    assert part_size(0, 4) == SMALLEST
    assert part_size(1 << 40, 4) == LARGEST
    assert part_size(64 * SMALLEST, 4) == 4 * SMALLEST


def test_every_mebibyte_is_ticked_once(tmp_path: Path) -> None:
    path = small_shard(tmp_path / "a.tar", 5)
    path.write_bytes(path.read_bytes() + bytes(3 * MIB))
    ticks: list[int] = []
    looking = Looking(tmp_path, "", 1.0, False)
    look_at_tar(looking, TarJob(0, path, 0, path.stat().st_size), ticks.append)
    assert sum(ticks) == 4  # begun ones count


def test_a_tar_that_goes_away_is_told(tmp_path: Path) -> None:
    told = look_at_tar(Looking(tmp_path, "", 1.0, False), TarJob(0, tmp_path / "gone.tar", 0, 1), print)
    assert [kind.title for kind in told.counts] == ["damaged-shard"]
