"""Keys become safe, and stay apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sightword.corpora.packing.keys import LONGEST, later_twins, numbered, safe


@given(st.text())
def test_a_safe_key_ends_nothing_and_needs_no_quotes(key: str) -> None:
    found = safe(key)
    assert 0 < len(found) <= LONGEST
    assert all(letter.isalnum() or letter in "_-~" for letter in found)
    assert "~~" not in found
    assert safe(found) == found


def test_good_keys_stay() -> None:
    for key in ("1f600_noto", "000000001", "a-b", "again~3", "Größe", "日本"):
        assert safe(key) == key
    assert safe("a/b.c d") == "a_b_c_d"
    assert safe("") == "_"


@given(st.lists(st.integers(0, 5), max_size=40))
def test_of_several_alike_all_but_the_first_are_found(values: list[int]) -> None:
    found = later_twins(np.array(values, dtype=np.uint64))
    assert found.tolist() == [place for place, value in enumerate(values) if value in values[:place]]


@given(st.lists(st.text(alphabet="ab.~_0123456789", max_size=3), max_size=30))
def test_numbers_make_all_keys_differ(keys: list[str]) -> None:
    names = [safe(key) for key in keys]
    later = set(later_twins(np.array([hash(name) & (2**63 - 1) for name in names], dtype=np.uint64)).tolist())
    new = [numbered(name, place) if place in later else name for place, name in enumerate(names)]
    assert len(set(new)) == len(new)
