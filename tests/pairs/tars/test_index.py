from __future__ import annotations

import json
import os

import numpy as np
import pytest

from sightword.pairs.tars import index as room
from sightword.pairs.tars.contents import IndexReport
from sightword.pairs.tars.index import index_of
from sightword.pairs.tars.tar import Tar
from sightword.pairs.tars.walk import build

PAIR = [("a.jpg", b"one"), ("a.txt", b"a dog")]


def test_members_of_one_stem_are_one_sample(make_tar):
    files = [
        ("x/1.txt", b"one"),
        ("2.PNG", b"image 2"),
        ("x/1.json", b'{"split": "train"}'),
        ("2.txt", b"two"),
        ("x/1.webp", b"image 1"),
        ("1.jpg", b"image 3"),
        ("1.txt", b"three"),
    ]
    tar = Tar(make_tar("a.tar", files))
    index = build(tar)
    assert index.keys == ["x/1", "2", "1"]
    pieces = [[tar.read(*span) for span in row.reshape(3, 2).tolist()] for row in index.spans]
    assert pieces[0] == [b"image 1", b"one", b'{"split": "train"}']
    assert [piece[:2] for piece in pieces[1:]] == [[b"image 2", b"two"], [b"image 3", b"three"]]
    assert (index.spans[1:, 5] == 0).all()


def test_whatever_is_left_out_is_counted(make_tar):
    files = [
        *PAIR,
        ("a.png", b"a second picture"),
        ("alone.jpg", b"no caption"),
        ("words.txt", b"no picture"),
        ("silent.jpg", b"i"),
        ("silent.txt", b" \n"),
        ("list.jpg", b"i"),
        ("list.txt", b"w"),
        ("list.json", b"[1]"),
        ("torn.jpg", b"i"),
        ("torn.txt", b"w"),
        ("torn.json", b'{"a": '),
        ("notes.md", b"other"),
        (".hidden", b"other"),
    ]
    report = build(Tar(make_tar("a.tar", files))).report
    assert report == IndexReport(
        samples=1, without_picture=1, without_caption=1, empty_captions=1, bad_json=2, duplicates=1, ignored=2
    )
    assert report.left_out() == (
        "1 without picture, 1 without caption, 1 empty captions, 2 bad json, 1 duplicates, 2 ignored"
    )
    assert IndexReport(samples=3).left_out() == ""
    assert (report + report).bad_json == 4


def test_splits_are_those_of_the_json(make_tar):
    files = []
    for name, split in [("a", "train"), ("b", "test"), ("c", "train"), ("d", 3), ("e", None)]:
        files += [(f"{name}.jpg", b"i"), (f"{name}.txt", b"w")]
        files += [(f"{name}.json", json.dumps({"split": split}).encode())] if split else []
    index = build(Tar(make_tar("a.tar", files)))
    assert index.rows("train").tolist() == [0, 2]
    assert index.rows("test").tolist() == [1]
    assert index.rows("none").tolist() == []
    assert index.rows("").tolist() == [0, 1, 2, 3, 4]


def test_a_latin_1_caption_is_left_out_by_name_and_byte(make_tar):
    path = make_tar("a.tar", [*PAIR, ("b.jpg", b"i"), ("b.txt", "un café".encode("latin-1"))])
    for index in (index_of(Tar(path)), index_of(Tar(path))):  # built, and read from its sidecar
        assert index.keys == ["a"]
        assert index.report.not_utf8 == 1
        ((key, reason),) = index.bad
        assert key == "b"
        assert "b.txt is not UTF-8 (byte 6 is 0xe9)" in reason
        assert "iconv -f latin1 -t utf-8" in reason
        assert "\n" not in reason


def test_a_sidecar_with_any_byte_changed_is_never_believed(make_tar, monkeypatch):
    path = make_tar("a.tar", [*PAIR, ("b.jpg", b"two"), ("b.txt", b"a cat")])
    right = index_of(Tar(path))
    sidecar = path.with_name("a.tar.index.npz")
    whole = sidecar.read_bytes()
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        sidecar.write_bytes(changed)
        found = index_of(Tar(path))
        assert found.spans.tolist() == right.spans.tolist()
        assert (found.keys, found.digest, found.report) == (right.keys, right.digest, right.report)


def test_a_well_formed_sidecar_with_other_places_is_never_believed(make_tar):
    path = make_tar("a.tar", [*PAIR, ("b.jpg", b"two"), ("b.txt", b"a cat")])
    right, sidecar = index_of(Tar(path)), path.with_name("a.tar.index.npz")
    with np.load(sidecar) as stored:
        arrays = dict(stored)
    arrays["spans"] = arrays["spans"][::-1].copy()
    np.savez(sidecar, **arrays)
    assert index_of(Tar(path)).spans.tolist() == right.spans.tolist()


def test_the_sidecar_is_used_and_is_the_same(make_tar, monkeypatch):
    path = make_tar("a.tar", [*PAIR, ("a.json", b'{"split": "x"}')])
    first = index_of(Tar(path))
    assert path.with_name("a.tar.index.npz").exists()
    monkeypatch.setattr(room, "build", lambda tar: pytest.fail("built again"))
    second = index_of(Tar(path))
    assert second.keys == first.keys
    assert second.spans.tolist() == first.spans.tolist()
    assert second.splits.tolist() == first.splits.tolist()
    assert (second.split_names, second.digest, second.report) == (
        first.split_names,
        first.digest,
        first.report,
    )


def test_a_changed_tar_is_indexed_again(make_tar):
    path = make_tar("a.tar", PAIR)
    index_of(Tar(path))
    make_tar("a.tar", [("b.jpg", b"one"), ("b.txt", b"a cat")])
    assert index_of(Tar(path)).keys == ["b"]


def test_a_tar_changed_under_its_old_time_and_size_is_indexed_again(make_tar):
    path = make_tar("a.tar", PAIR)
    index_of(Tar(path))
    old = path.stat()
    make_tar("a.tar", [("b.jpg", b"one"), ("b.txt", b"a cat")])
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert path.stat().st_size == old.st_size
    assert index_of(Tar(path)).keys == ["b"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"hello" * 100])
def test_a_broken_sidecar_is_built_again(make_tar, content):
    path = make_tar("a.tar", PAIR)
    sidecar = path.with_name("a.tar.index.npz")
    sidecar.write_bytes(content)
    assert index_of(Tar(path)).keys == ["a"]
    assert sidecar.read_bytes() != content


def test_a_torn_sidecar_is_built_again(make_tar):
    path = make_tar("a.tar", PAIR)
    index_of(Tar(path))
    sidecar = path.with_name("a.tar.index.npz")
    whole = sidecar.read_bytes()
    for length in range(0, len(whole), 97):
        sidecar.write_bytes(whole[:length])
        assert index_of(Tar(path)).keys == ["a"]


def test_where_nothing_can_lie_beside_the_tar_the_cache_serves(make_tar, cache, monkeypatch):
    path = make_tar("a.tar", PAIR)
    path.with_name("a.tar.index.npz").mkdir()  # a name that cannot be written, even by root
    index_of(Tar(path))
    monkeypatch.setattr(room, "build", lambda tar: pytest.fail("built again"))
    assert index_of(Tar(path)).keys == ["a"]
    assert list((cache / "index").glob("*.npz"))
    assert not [entry for entry in path.parent.iterdir() if entry.name.startswith(".")], (
        "something left aside"
    )


def test_without_any_place_to_write_reading_still_works(make_tar, monkeypatch, tmp_path):
    path = make_tar("a.tar", PAIR)
    path.with_name("a.tar.index.npz").mkdir()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "file"))
    assert index_of(Tar(path)).keys == ["a"]


def test_the_digest_is_of_the_content_alone(make_tar):
    files = [*PAIR, ("a.json", b"{}"), ("b.jpg", b"x" * 9000), ("b.txt", b"a cat")]
    here, there = make_tar("a.tar", files), make_tar("else/b.tar", files)
    os.utime(there, (1, 1))
    digest = build(Tar(here)).digest
    assert build(Tar(there)).digest == digest
    changes = {
        "key": [("c.jpg", b"one"), ("c.txt", b"a dog"), *files[2:]],
        "picture": [("a.jpg", b"two"), *files[1:]],
        "length": [("a.jpg", b"one "), *files[1:]],
        "caption": [PAIR[0], ("a.txt", b"a hog"), *files[2:]],
        "json": [*PAIR, ("a.json", b"{ }"), *files[3:]],
        "order": [*files[3:], *files[:3]],
        "end of a large picture": [*files[:3], ("b.jpg", b"x" * 8999 + b"y"), files[4]],
        "fewer": files[:3],
    }
    digests = {name: build(Tar(make_tar("changed.tar", changed))).digest for name, changed in changes.items()}
    assert digest not in digests.values()
    assert len(set(digests.values())) == len(changes)
