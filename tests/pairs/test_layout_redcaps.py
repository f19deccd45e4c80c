from __future__ import annotations

import pytest
from corpora_on_disk import picture, redcaps_by_annotations, redcaps_by_list

from sightword.pairs.sources import open_pairs


@pytest.mark.parametrize("make", [redcaps_by_annotations, redcaps_by_list])
def test_redcaps(tmp_path, make):
    make(tmp_path)
    pairs = open_pairs(f"redcaps:{tmp_path}")
    assert list(pairs.keys) == ["abandoned/guli1", "itookapicture/1bd79"]
    assert pairs[1].captions == ("my 1bd79",)
    assert dict(pairs[1].fields) == {
        "split": "train",
        "subreddit": "itookapicture",
        "raw_caption": "My 1bd79!",
        "author": "x",
    }
    assert pairs[1].image == picture(len("itookapicture"))
    assert pairs.report.without_picture == 2
