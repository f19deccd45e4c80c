from __future__ import annotations

import pytest
from corpora_on_disk import picture, yfcc_by_list, yfcc_by_tables, yfcc_packed

from sightword.pairs.sources import open_pairs


@pytest.mark.parametrize("make", [yfcc_by_list, yfcc_by_tables, yfcc_packed])
def test_yfcc15m(tmp_path, make):
    make(tmp_path)
    pairs = open_pairs(f"yfcc15m:{tmp_path}")
    assert list(pairs.keys) == ["00000005", "12345678"]
    assert [sample.captions for sample in pairs.texts()] == [("Rome", "a day in Rome"), ("a cat",)]
    assert dict(pairs.text(1).fields) == {"split": "train", "title": "", "description": "a cat"}
    assert pairs[1].image == picture(12345678)
    assert (pairs.report.without_picture, pairs.report.empty_captions) == (1, 1)


def test_both_ways_to_yfcc15m_are_the_same_data(tmp_path):
    for name, make in (("a", yfcc_by_list), ("b", yfcc_by_tables), ("c", yfcc_packed)):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
    hashes = {open_pairs(f"yfcc15m:{tmp_path / name}").data_hash for name in "abc"}
    assert len(hashes) == 1
