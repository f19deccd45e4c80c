"""The look at the data: what is told, what stops, and that it is not looked at twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_shard import picture, write_tar
from tiny_runs import shard, tiny

from sightword.adapting import preflight
from sightword.adapting.preflight import Examined, examine, judge
from sightword.config import Config
from sightword.errors import SightwordError
from sightword.training.data import all_pairs

FINE = Examined(1000, 900, 1000, 1.0, {}, 0.1, 0.0, 0.0, ())


def config_of(path: Path) -> Config:
    return tiny(path.parent / "run", path)


def test_what_was_found_is_told_in_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the same pictures with other captions of four kinds."""
    members = dict[str, bytes]()
    for i in range(70):
        said = f"a thing of {'abcd'[i % 4]}".encode()
        members |= {f"{i:03}.png": picture(i % 35)[0], f"{i:03}.txt": said}
    config = config_of(write_tar(tmp_path / "again.tar", members))
    pairs = all_pairs(config)
    found = examine(config, pairs, tmp_path / "check")
    first, *notes = found.lines()
    assert first == "data: 70 pairs, 4 different captions"
    assert (found.pairs, found.different, found.repeated_captions) == (70, 4, 1.0)
    assert found.near_share >= 0.5
    told = [note.split(" of the ")[0] for note in notes if "blank" not in note]
    assert told == ["note: 100%", f"note: {found.near_share:.1%}"]
    monkeypatch.setattr(preflight, "check", None)
    assert examine(config, pairs, tmp_path / "check") == found  # remembered
    told = json.loads((tmp_path / "check" / preflight.FILE).read_text())
    assert told["data_hash"] == pairs.data_hash


def test_unreadable_pictures_stop_it_with_the_remedy(tmp_path: Path) -> None:
    config = config_of(shard(tmp_path / "pairs.tar", 70, broken=(3, 5)))
    with pytest.raises(SightwordError, match=r"2 of 70 pictures cannot be read, more than --max-bad 0\.01"):
        examine(config, all_pairs(config), tmp_path / "check")
    lenient = replace(config, data=replace(config.data, max_bad=0.1))
    assert examine(lenient, all_pairs(lenient), tmp_path / "check").counts["unreadable"] == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"counts": {"missing-shard": 1, "damaged-shard": 2}}, "3 shards are missing or damaged"),
        ({"pairs": 63}, "there are 63 pairs; adapt wants 64 or more"),
        ({"different": 1}, "all captions are the same"),
        ({"counts": {"unreadable": 11}}, "11 of 1,011 pictures cannot be read"),
    ],
)
def test_what_would_ruin_the_run_stops_it(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    config = config_of(tmp_path / "pairs.tar")
    judge(FINE, config)
    judge(replace(FINE, counts={"unreadable": 10, "near-copy": 900}), config)
    with pytest.raises(SightwordError, match=said):
        judge(replace(FINE, **changes), config)
