"""The plan holds all that decides the bytes, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_shard import small_shard

from sightword.corpora.packing.encoding import Encoding
from sightword.corpora.packing.pack_plan import PLAN, PackOptions, begin
from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs


def plan_of(folder: Path, source: Path, options: PackOptions, reading: Reading = Reading()) -> str:  # noqa: B008
    return begin(open_pairs(str(source)), folder, options, reading).plan


def test_workers_and_the_limit_decide_nothing(tmp_path: Path) -> None:
    source = small_shard(tmp_path / "a.tar", 4)
    one = plan_of(tmp_path / "out", source, PackOptions(processes=1))
    assert plan_of(tmp_path / "out", source, PackOptions(processes=2, max_bad=0.5)) == one


def test_all_else_does(tmp_path: Path) -> None:
    source = small_shard(tmp_path / "a.tar", 4)
    plans = [
        plan_of(tmp_path / str(number), source, options, reading)
        for number, (options, reading) in enumerate(
            [
                (PackOptions(), Reading()),
                (PackOptions(), Reading(captionless=True)),
                (PackOptions(per_shard=2), Reading()),
                (PackOptions(shuffle=0), Reading()),
                (PackOptions(keys="number"), Reading()),
                (PackOptions(verify=True), Reading()),
                (PackOptions(encoding=Encoding(resize=20)), Reading()),
                (PackOptions(encoding=Encoding(format="jpg")), Reading()),
                (PackOptions(encoding=Encoding(format="jpg", quality=90)), Reading()),
            ]
        )
    ]
    assert len(set(plans)) == len(plans)


def test_encoders_count_only_where_they_are_used(tmp_path: Path) -> None:
    source = small_shard(tmp_path / "a.tar", 4)
    plan_of(tmp_path / "copied", source, PackOptions())
    plan_of(tmp_path / "made", source, PackOptions(encoding=Encoding(format="jpg")))
    copied, made = (json.loads((tmp_path / name / PLAN).read_bytes()) for name in ("copied", "made"))
    assert made.keys() - copied.keys() == {"pillow", "simplejpeg"}


def test_a_plan_torn_by_a_stranger_is_refused(tmp_path: Path) -> None:
    source = small_shard(tmp_path / "a.tar", 4)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / PLAN).write_text("{")
    with pytest.raises(SightwordError, match="made otherwise"):
        plan_of(tmp_path / "out", source, PackOptions())


def test_keys_are_looked_at_once_and_again_when_the_note_is_lost(tmp_path: Path) -> None:
    source = small_shard(tmp_path / "a.tar", 4)
    pairs = open_pairs(f"{source}::{source}")
    for _ in range(2):
        packing = begin(pairs, tmp_path / "out", PackOptions(processes=1), Reading())
        assert packing.twins.tolist() == [4, 5, 6, 7]
        (tmp_path / "out" / ".twins.npy").write_bytes(b"torn")
    assert begin(pairs, tmp_path / "out", PackOptions(processes=1), Reading()).twins.tolist() == [4, 5, 6, 7]
