from __future__ import annotations

import json

import pytest

from sightword.errors import SightwordError
from sightword.pairs.quarantine import Quarantine


def _bad(*numbers: int) -> list[tuple[str, str]]:
    return [(f"key{number}", f"no image: {number} é") for number in numbers]


def test_samples_are_noted_once_and_remembered(tmp_path):
    file = tmp_path / "run" / "quarantine.jsonl"
    quarantine = Quarantine(file, max_bad=0.1, size=1000)
    assert quarantine.add(_bad(1, 2), seen=256) == 2
    assert quarantine.add(_bad(2, 3, 3), seen=512) == 1
    assert quarantine.add([], seen=768) == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == [{"key": f"key{n}", "reason": f"no image: {n} é"} for n in (1, 2, 3)]
    resumed = Quarantine(file, max_bad=0.1, size=1000)
    assert len(resumed) == 3
    assert resumed.add(_bad(1, 2, 3, 4), seen=512) == 1
    assert len(file.read_text().splitlines()) == 4


def test_no_manifest_without_bad_samples(tmp_path):
    Quarantine(tmp_path / "q.jsonl", 0.01, 100).add([], 100)
    assert not (tmp_path / "q.jsonl").exists()


def test_a_torn_last_line_costs_only_itself(tmp_path):
    file = tmp_path / "q.jsonl"
    Quarantine(file, 0.5, 1000).add(_bad(1, 2), 500)
    file.write_bytes(file.read_bytes()[:-9])
    resumed = Quarantine(file, 0.5, 1000)
    assert list(resumed.reasons) == ["key1"]
    resumed.add(_bad(2, 3), 500)
    assert sorted(Quarantine(file, 0.5, 1000).reasons) == ["key1", "key2", "key3"]


def test_too_many_stop_the_run_and_are_still_written(tmp_path):
    file = tmp_path / "q.jsonl"
    with pytest.raises(SightwordError) as error:
        Quarantine(file, max_bad=0.01, size=100_000).add(_bad(*range(40)), seen=256)
    message = str(error.value)
    assert "40 of 256 samples are unreadable, more than max_bad = 0.01" in message
    assert "key0" in message
    assert "no image: 0" in message
    assert str(file) in message
    assert len(file.read_text().splitlines()) == 40


def test_a_few_in_the_first_batches_may_be_chance(tmp_path):
    quarantine = Quarantine(tmp_path / "q.jsonl", max_bad=0.01, size=100_000)
    quarantine.add(_bad(1), seen=1)
    quarantine.add(_bad(2, 3, 4, 5), seen=256)  # 1.95 %, with 2.56 + 3 * 1.6 allowed
    with pytest.raises(SightwordError):
        quarantine.add(_bad(6, 7, 8), seen=256)


def test_a_whole_pass_is_judged_exactly(tmp_path):
    quarantine = Quarantine(tmp_path / "q.jsonl", max_bad=0.05, size=20)
    quarantine.add(_bad(1), seen=20)
    quarantine.add(_bad(1), seen=2000)
    with pytest.raises(SightwordError, match="2 of 20 samples"):
        quarantine.add(_bad(2), seen=4000)


def test_what_was_left_out_at_opening_is_listed_and_not_judged_again(tmp_path):
    file = tmp_path / "q.jsonl"
    for before in (0, 1):  # begun, and resumed
        quarantine = Quarantine(file, max_bad=0.05, size=20)
        quarantine.list([("a.tar", "is damaged"), ("b", "is not UTF-8")])
        assert len(quarantine) == before
        quarantine.add(_bad(1), seen=20)
        assert len(quarantine) == 1
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()] == ["a.tar", "b", "key1"]
    with pytest.raises(SightwordError, match=r"2 of 20 samples are unreadable.*first key1"):
        quarantine.add(_bad(2), seen=20)


def test_nothing_bad_is_allowed_at_zero(tmp_path):
    with pytest.raises(SightwordError):
        Quarantine(tmp_path / "q.jsonl", max_bad=0.0, size=1000).add(_bad(1), seen=256)
