from __future__ import annotations

import numpy as np
import pytest

from sightword.pairs.tars.contents import IndexReport
from sightword.pairs.tars.index import facts_of, hashes_of, index_of
from sightword.pairs.tars.tar import Tar
from sightword.pairs.tars.walk import build, hashes

FILES = {
    "a.jpg": b"A", "a.txt": b"a dog", "a.json": b'{"split": "train"}',
    "b.jpg": b"B",
    "c.jpg": b"C", "c.txt": b" \n", "c.json": b'{"split": "test"}',
    "d.txt": b"a cat",
    "e.jpg": b"E", "e.json": b"[]",
    "f.jpg": b"F", "f.txt": b"a bird", "f.json": b"[]",
}  # fmt: skip


def test_pictures_without_captions_are_in_the_index_and_not_among_the_pairs(make_tar):
    index = build(Tar(make_tar("a.tar", FILES)))
    assert list(index.keys) == ["a", "b", "c"]
    assert index.captioned.tolist() == [True, False, False]
    assert index.spans[1, 2:].tolist() == [0, 0, 0, 0]
    assert index.rows("").tolist() == [0]
    assert index.rows("", captionless=True).tolist() == [0, 1, 2]
    assert index.rows("test").tolist() == []
    assert index.rows("test", captionless=True).tolist() == [2]
    assert index.rows("other", captionless=True).tolist() == []


def test_the_facts_are_those_of_the_index(make_tar):
    facts = build(Tar(make_tar("a.tar", FILES))).facts
    report = IndexReport(samples=1, without_picture=1, without_caption=2, empty_captions=1, bad_json=1)
    assert facts.report == report
    assert facts.captionless == 2
    assert facts.splits == (("train", 1, 0), ("test", 0, 1))
    assert report.with_captionless(2) == IndexReport(samples=3, without_picture=1, bad_json=2)


def test_both_digests_are_one_where_every_picture_has_a_caption(make_tar):
    pairs = {name: data for name, data in FILES.items() if name[0] == "a"}
    alone, among = build(Tar(make_tar("a.tar", pairs))), build(Tar(make_tar("b.tar", FILES)))
    assert alone.digest == alone.whole == among.digest != among.whole
    others = FILES | {"b.jpg": b"another"}
    assert build(Tar(make_tar("c.tar", others))).digest == among.digest
    assert build(Tar(make_tar("c.tar", others))).whole != among.whole


def test_facts_and_hashes_are_read_from_the_sidecar(make_tar, monkeypatch):
    path = make_tar("a.tar", FILES)
    index = index_of(Tar(path))
    monkeypatch.setattr("sightword.pairs.tars.index.build", lambda tar, tick: pytest.fail("built again"))
    assert facts_of(Tar(path)) == index.facts
    assert hashes_of(Tar(path)).tolist() == index.hashes.tolist()
    assert index_of(Tar(path)).captioned.tolist() == [True, False, False]


def test_hashes_tell_keys_apart_and_stay_what_they_are():
    keys = [f"{number:09d}" for number in range(10_000)]
    assert len(np.unique(hashes(keys))) == 10_000
    told = [number.to_bytes(8, "little").hex() for number in hashes(["a", "é"]).tolist()]
    assert told == ["40f89e395b66422f", "cb1abf8beff3192f"]  # as b2sum -l 64 gives
    assert hashes([]).shape == (0,)


def test_ticks_come_as_it_goes_and_add_up_to_the_size(make_tar, monkeypatch):
    monkeypatch.setattr("sightword.pairs.tars.walk._OFTEN", 3000)
    path = make_tar(
        "a.tar", {f"{number}.{kind}": b"x" * 900 for number in range(20) for kind in ("jpg", "txt")}
    )
    told: list[int] = []
    build(Tar(path), told.append)
    assert sum(told) == path.stat().st_size
    assert len(told) > 5
    assert min(told) > 0
    told.clear()
    index_of(Tar(path))
    index_of(Tar(path), told.append)  # from the sidecar
    assert told == [path.stat().st_size]
