from __future__ import annotations

import tarfile
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sightword.pairs.lists.keys import Repeats, key_of, numbered, sound
from sightword.pairs.sample import Sample
from sightword.pairs.tars.writer import write_shard


def test_a_key_is_a_path_without_its_extension():
    assert key_of("a/b.jpg") == "a/b"
    assert key_of("/root/a/b.PNG", "/root") == "a/b"
    assert key_of("/other/b.jpg", "/root") == "/other/b"
    assert key_of("a/v1.2") == "a/v1.2"  # 2 is no picture's extension


def test_sound_keys():
    assert sound("a/b") == "a/b"
    assert sound("/data/../x/./b.v1") == "data/x/b_v1"
    assert sound("a.b/c") == "a.b/c"
    assert sound("a~3") == "a_3"
    assert sound("a~b") == "a~b"
    assert sound("") == sound("/..") == "_"


@given(st.text(max_size=20))
def test_every_sound_key_fits_a_tar_and_stays(tmp_path_factory, text):
    key = sound(text)
    path = tmp_path_factory.getbasetemp() / "one.tar"
    write_shard(path, [Sample(key, ("caption",), {}, b"\xff\xd8\xff")])
    with tarfile.open(path) as tar:
        assert tar.getnames() == [f"{key}.jpg", f"{key}.txt"]
    assert sound(key) == key


@given(st.lists(st.sampled_from(["a", "b", "a~1", "a_1", "c/d", "é"])))
def test_keys_are_told_apart(texts):
    keys = [sound(text) for text in texts]
    repeats, before, expected = Repeats(), Counter(), []
    for key in keys:
        repeats.add(key)
        expected.append(before[key])
        before[key] += 1
    assert repeats.numbers().tolist() == expected
    told = [numbered(key, number) for key, number in zip(keys, expected, strict=True)]
    assert len(set(told)) == len(told)
