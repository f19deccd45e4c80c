"""Which samples a shard holds, and what becomes of fields that JSON cannot hold."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import pytest
from odd_pictures import stored, texture

from sightword.corpora.packing.encoding import Encoding
from sightword.corpora.packing.shard_job import Packing, finished, plain, write
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.reading import Reading
from sightword.pairs.sample import Sample, Text
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import IndexReport


class Listed(Pairs):
    """Pairs from a list; an exception in it is raised."""

    def __init__(self, samples: Sequence[Sample | Exception]) -> None:
        self.samples = samples

    def __getitem__(self, i: SupportsIndex) -> Sample:
        found = self.samples[i]  # type: ignore[index]
        if isinstance(found, Exception):
            raise found
        return found

    def text(self, i: SupportsIndex) -> Text:
        return self[i]

    @property
    def counts(self) -> tuple[int, ...]:
        return (len(self.samples),)

    @property
    def keys(self) -> Sequence[str]:
        return [text.key for text in self.texts()]

    @property
    def data_hash(self) -> str:
        return "hash"

    @property
    def report(self) -> IndexReport:
        return IndexReport(samples=len(self.samples))


PICTURE = stored(texture(8, 8))


def packing(out: Path, pairs: Sequence[Sample | Exception], **changes: object) -> Packing:
    plain_one = {
        "pairs": Listed(pairs),
        "out": out,
        "per_shard": 10,
        "shuffle": None,
        "keys": "keep",
        "encoding": Encoding(),
        "verify": False,
        "reading": Reading(),
        "plan": "plan",
        "twins": np.zeros(0, dtype=np.int64),
    }
    return Packing(**{**plain_one, **changes})  # type: ignore[arg-type]


def untold(count: int) -> None:
    """Nobody watches."""


def numbered(count: int) -> Iterator[Sample]:
    return (Sample(str(number), (f"word {number}",), {}, PICTURE) for number in range(count))


@pytest.mark.parametrize("shuffle", [None, 0, 7])
@pytest.mark.parametrize(("total", "per_shard"), [(1, 1), (23, 5), (25, 5), (3, 10)])
def test_every_sample_is_in_one_shard(
    tmp_path: Path, shuffle: int | None, total: int, per_shard: int
) -> None:
    job = packing(tmp_path, list(numbered(total)), per_shard=per_shard, shuffle=shuffle)
    shards = [job.samples_of(number).tolist() for number in range(job.shards)]
    assert sorted(number for shard in shards for number in shard) == list(range(total))
    assert all(shard == sorted(shard) for shard in shards)
    assert [len(shard) for shard in shards[:-1]] == [per_shard] * (len(shards) - 1)


def test_a_shuffled_shard_has_samples_from_everywhere(tmp_path: Path) -> None:
    job = packing(tmp_path, list(numbered(2000)), per_shard=1000, shuffle=1)
    first = job.samples_of(0)
    assert 400 < (first < 1000).sum() < 600  # half, with six standard deviations to spare


def test_shard_names_sort_as_numbers(tmp_path: Path) -> None:
    job = packing(tmp_path, list(numbered(3)), per_shard=1)
    assert job.tar(2).name == "00002.tar"


def test_a_finished_shard_is_known_by_its_record(tmp_path: Path) -> None:
    job = packing(tmp_path, list(numbered(3)))
    assert finished(job, 0) is None
    shard = write(job, 0, untold)
    assert finished(job, 0) == shard
    assert finished(packing(tmp_path, list(numbered(3)), plan="another"), 0) is None


def test_what_cannot_be_read_or_said_is_listed_with_its_reason(tmp_path: Path) -> None:
    pairs = [
        BadSample("gone", "cannot be read: no such file"),
        OSError(5, "Input/output error"),
        Sample("mute", (" ",), {}, PICTURE),
        Sample("half", ("\ud800",), {}, PICTURE),
        Sample("fine", ("a word",), {}, PICTURE),
    ]
    shard = write(packing(tmp_path, pairs), 0, untold)
    assert [(bad.number, bad.key) for bad in shard.bad] == [
        (0, "gone"),
        (1, "sample 1"),
        (2, "mute"),
        (3, "half"),
    ]
    assert [bad.reason for bad in shard.bad] == [
        "cannot be read: no such file",
        "cannot be read: Input/output error",
        "no caption",
        "text that UTF-8 cannot hold: surrogates not allowed",
    ]
    assert shard.status_dict["success"] == shard.successes == 1
    assert open_pairs(str(tmp_path / "00000.tar")).keys == ["fine"]


def test_a_source_that_breaks_as_a_whole_is_not_a_bad_sample(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="became shorter"):
        write(packing(tmp_path, [SightwordError("'a.tar' became shorter")]), 0, untold)
    assert not list(tmp_path.glob("*.tar"))


def test_a_shard_of_nothing_readable_is_an_empty_tar(tmp_path: Path) -> None:
    shard = write(packing(tmp_path, [BadSample("a", "no")]), 0, untold)
    assert shard.successes == 0
    assert (tmp_path / "00000.tar").stat().st_size == 10_240


def test_every_sample_is_ticked_once(tmp_path: Path) -> None:
    ticks: list[int] = []
    write(packing(tmp_path, list(numbered(37)), per_shard=37), 0, ticks.append)
    assert sum(ticks) == 37


def test_several_captions_are_all_kept(tmp_path: Path) -> None:
    write(packing(tmp_path, [Sample("a", ("one", " ", "two"), {"captions": "old"}, PICTURE)]), 0, untold)
    content = (tmp_path / "00000.tar").read_bytes()
    assert json.dumps({"captions": ["one", "two"]}).encode() in content


def test_fields_become_what_json_holds() -> None:
    found = plain(
        {
            "none": None,
            "yes": True,
            "not a number": float("nan"),
            "bytes": b"\xff",
            "array": np.arange(2),
            "scalar": np.float32(0.5),
            "day": datetime.date(2020, 1, 2),
            7: ("a", [1.5]),
        }
    )
    assert found == {
        "none": None,
        "yes": True,
        "not a number": None,
        "bytes": "/w==",
        "array": [0, 1],
        "scalar": 0.5,
        "day": "2020-01-02",
        "7": ["a", [1.5]],
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found
