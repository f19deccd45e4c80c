"""A few damaged shards do not stop a run: all that can be found is served, the rest is counted and listed."""

from __future__ import annotations

import json
import os
import pickle

import pytest

from sightword.errors import BadSample, SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs

LENIENT = Reading(max_bad=0.5)


def damage(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)


@pytest.fixture
def shards(make_pairs):
    """Two whole shards of five pairs, and between them one whose third picture's header is damaged."""
    paths = [make_pairs(f"set/{number}.tar", 5, 5 * number) for number in range(3)]
    damage(paths[1], paths[1].read_bytes().index(b"000007.jpg") + 3)
    return paths


def test_all_but_the_damaged_sample_is_served_and_the_damage_listed(shards):
    pairs = open_pairs(str(shards[0].parent), reading=LENIENT)
    wanted = [number for number in range(15) if number != 7]
    for served in (pairs, pickle.loads(pickle.dumps(pairs)), open_pairs(str(shards[0].parent), "", LENIENT)):
        samples = [served[i] for i in range(len(served))]
        assert [sample.fields["number"] for sample in samples] == wanted
        assert all(s.image.startswith(f"picture {n} ".encode()) for s, n in zip(samples, wanted, strict=True))
    assert pairs.report.damaged_shards == 1
    assert pairs.report.without_picture == 1  # its caption is still there
    assert "1 damaged shards" in pairs.report.left_out()
    ((name, reason),) = pairs.unreadable
    assert name == str(shards[1])
    assert "no tar header at byte" in reason
    assert "bytes passed over" in reason


def test_more_than_max_bad_are_refused_in_one_line(shards):
    with pytest.raises(SightwordError) as error:
        open_pairs(str(shards[0].parent), reading=Reading(max_bad=0.2))
    message = str(error.value)
    assert "1 of the 3 shards" in message
    assert "more than max_bad = 0.2" in message
    assert str(shards[1]) in message
    assert "fetch or pack it again" in message
    assert "\n" not in message


def test_nothing_damaged_is_taken_unless_it_is_allowed(shards):
    with pytest.raises(SightwordError, match="is damaged: no tar header"):
        open_pairs(str(shards[1]))


def test_a_shard_cut_short_serves_what_is_whole(shards):
    data = shards[2].read_bytes()
    shards[2].write_bytes(data[: data.index(b"000013.jpg") + 700])
    pairs = open_pairs(str(shards[2]), reading=Reading(max_bad=1.0))
    assert [pairs[i].fields["number"] for i in range(len(pairs))] == [10, 11, 12]


def test_where_nothing_is_left_the_reason_is_said(make_pairs):
    path = make_pairs("a.tar", 3)
    path.write_bytes(b"not a tar" * 500)
    with pytest.raises(SightwordError, match=r"is not a tar \(it begins with"):
        open_pairs(str(path), reading=Reading(max_bad=1.0))


def test_captions_of_another_encoding_are_left_out_up_to_max_bad(make_tar):
    files = {}
    for number in range(10):
        files[f"{number}.jpg"], files[f"{number}.txt"] = b"picture", b"caption"
    files["4.txt"] = "café".encode("latin-1")
    path = make_tar("a.tar", files)
    with pytest.raises(SightwordError, match=r"1 captions .* first .*a.tar: 4.txt is not UTF-8 .*iconv"):
        open_pairs(str(path), reading=Reading(max_bad=0.05))
    pairs = open_pairs(str(path), reading=Reading(max_bad=0.1))
    assert pairs.keys == [str(number) for number in range(10) if number != 4]
    assert [key for key, _ in pairs.unreadable] == ["4"]


def test_bad_json_is_listed_by_key(make_tar):
    files = {"a.jpg": b"i", "a.txt": b"w", "b.jpg": b"i", "b.txt": b"w", "b.json": b"[" * 100_000}
    pairs = open_pairs(str(make_tar("a.tar", files)))
    assert pairs.keys == ["a"]
    assert [key for key, _ in pairs.unreadable] == ["b"]


@pytest.mark.parametrize("name", ["000001.txt", "000001.json"])
def test_words_that_rotted_after_indexing_are_one_bad_sample(make_pairs, name):
    path = make_pairs("a.tar", 40)
    open_pairs(str(path))
    old, data = path.stat(), bytearray(path.read_bytes())
    content = data.index(name.encode()) + 512
    data[content : content + 3] = b"\xff\xfe{"
    path.write_bytes(data)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    pairs = open_pairs(str(path))
    with pytest.raises(BadSample, match="000001: its words have changed") as error:
        pairs[1]
    assert error.value.key == "000001"
    assert [text.caption for text in pairs.texts()] == [f"caption {n}" if n != 1 else "" for n in range(40)]
    assert pairs[2].fields["number"] == 2


def test_half_characters_of_json_become_question_marks(make_tar):
    files = {
        "a.jpg": b"i",
        "a.txt": b"w",
        "a.json": json.dumps({"captions": ["\ud800 x"], "split": "\udfff"}),
    }
    pairs = open_pairs(
        str(make_tar("a.tar", {k: v if isinstance(v, bytes) else v.encode() for k, v in files.items()}))
    )
    assert pairs[0].captions == ("w", "? x")
    assert len(open_pairs(str(make_tar("a.tar", {"a.jpg": b"i", "a.txt": b"w"})))) == 1
