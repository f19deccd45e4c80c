"""Shards that we write are read by us and by others, and are the same bytes every time."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.pairs.sample import Sample
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.writer import extension, members, shard_name, write_shard

PNG = b"\x89PNG\r\n\x1a\n and more"


def test_written_and_read_again(tmp_path: Path) -> None:
    samples = [
        Sample("a", ("words",), {"x": 1}, PNG),
        Sample("é" * 90, ("a long key",), {}, b"\xff\xd8\xff"),
    ]
    assert write_shard(tmp_path / "a.tar", samples) == 2
    pairs = open_pairs(str(tmp_path / "a.tar"))
    assert [pairs[0], pairs[1]] == samples


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    sample = Sample("a", ("one", "two"), {"z": 1, "a": {"c": 1, "b": 2}}, PNG)
    other = Sample("a", ("one", "two"), {"a": {"b": 2, "c": 1}, "z": 1}, PNG)
    write_shard(tmp_path / "a.tar", [sample])
    write_shard(tmp_path / "b.tar", [other])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_files_of_a_sample() -> None:
    sample = Sample("k", ("one", "two"), {"x": "é"}, PNG)
    assert list(members(sample)) == [
        ("k.png", PNG),
        ("k.txt", b"one"),
        ("k.json", '{"captions": ["one", "two"], "x": "é"}'.encode()),
    ]
    assert list(members(Sample("k", (), {}, PNG))) == [("k.png", PNG)]


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\xd8\xff\xe0", "jpg"),
        (PNG, "png"),
        (b"GIF89a", "gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"\0\0\0\x1cftypavif", "avif"),
        (b"P6\n3 3\n255\n", "ppm"),
        (b"?", "jpg"),
    ],
)
def test_extensions_are_by_content(start: bytes, name: str) -> None:
    assert extension(start) == name


@pytest.mark.parametrize("key", ["", "a.b", "/a", "a/", "a\0"])
def test_keys_that_no_tar_can_hold_are_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(SightwordError, match="cannot be the key"):
        write_shard(tmp_path / "a.tar", [Sample(key, ("words",), {}, PNG)])
    assert not list(tmp_path.iterdir())


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="have the key 'a'"):
        write_shard(tmp_path / "a.tar", [Sample("a", ("words",), {}, PNG)] * 2)


def test_shards_sort_by_name_as_by_number(tmp_path: Path) -> None:
    assert shard_name(7) == shard_name(7, 100_000) == "00007.tar"
    names = [shard_name(number, 140_000) for number in (0, 9, 99_999, 100_000, 139_999)]
    assert names == sorted(names)
    assert write_shard(tmp_path / names[0], []) == 0
    with tarfile.open(tmp_path / names[0]) as tar:
        assert tar.getnames() == []
