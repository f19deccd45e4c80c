from __future__ import annotations

import json

import pytest

from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.shards import Shards


@pytest.mark.parametrize(
    ("listed", "captions"),
    [
        (["first", "second", "second"], ("first", "second", "second")),
        (["second", " third ", "", 3, None], ("first", "second", "third")),
        ([], ("first",)),
        ("second", ("first",)),
        ({"a": "b"}, ("first",)),
    ],
)
def test_captions_in_the_json_follow_the_txt(make_tar, listed, captions):
    about = json.dumps({"captions": listed}).encode()
    path = make_tar("a.tar", {"a.jpg": b"a", "a.txt": b"first\n", "a.json": about})
    assert open_pairs(str(path)).text(0).captions == captions
    assert Shards((str(path),))[0].sample(0).caption == "first"


def test_lines_of_a_txt_are_one_caption(make_tar):
    path = make_tar("a.tar", {"a.jpg": b"a", "a.txt": b"one\ntwo"})
    assert open_pairs(str(path))[0].captions == ("one\ntwo",)
