from __future__ import annotations

import pytest

from sightword.corpora.building.names import concept, without_prefix, without_style, words


@pytest.mark.parametrize(
    ("name", "own", "numbered", "wanted"),
    [
        ("arrow-left-outline", (), False, "arrow left"),
        ("add-circle-16-filled", (), False, "add circle"),
        ("home-24", (), False, "home"),
        ("burger-flat", ("", "flat"), False, "burger"),
        ("apartment-flat", (), False, "apartment flat"),  # a style only where the set says so
        ("traffic-light", (), False, "traffic light"),
        ("1password-light", ("", "light", "dark"), False, "1password"),
        ("atom-2", (), True, "atom"),
        ("html-5", (), False, "html 5"),
        ("number-2", (), True, "number 2"),
        ("outline", (), False, "outline"),
        ("2-outline", (), True, "2"),
    ],
)
def test_styles_sizes_and_counts_come_off_the_end(name, own, numbered, wanted):
    assert without_style(name, own, numbered) == wanted


def test_prefixes_come_off_where_a_set_lists_them():
    assert without_prefix("outline-arrow", ("", "outline")) == "arrow"
    assert without_prefix("outlined", ("outline",)) == "outlined"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("north-arrow_2", "north arrow 2"), ("MapTravel", "map travel"), (" Two  words ", "two words")],
)
def test_names_become_words(name, wanted):
    assert words(name) == wanted


@pytest.mark.parametrize(
    "variants",
    [
        (
            "person running",
            "woman running",
            "man running medium-light skin tone",
            "woman running dark skin tone",
        ),
        ("python", "file type python", "folder type python opened", "python wordmark", "folder python open"),
        ("waving hand", "waving hand medium dark", "waving hand light skin tone"),
        ("chart", "chart 2", "chart 11"),
        ("flag germany", "flag for germany", "flag of germany", "germany"),
        ("men holding hands light skin tone medium light skin tone", "women holding hands"),
    ],
)
def test_variants_share_a_concept(variants):
    assert len({concept(name) for name in variants}) == 1


def test_different_things_are_different_concepts():
    names = ["cat", "dog", "folder", "open folder", "woman", "light", "5", "red apple", "green apple"]
    assert len({concept(name) for name in names}) == len(names)
    assert all(concept(name) for name in names)
