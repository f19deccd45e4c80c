from __future__ import annotations

import io
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sightword.corpora.building.drawing import Drawing, draw
from sightword.corpora.building.families import Families, split_of, tie_near_copies

NAMES = st.sampled_from("abcdefghijkl")


@given(st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=12))
def test_families_are_the_connected_components(ties):
    families = Families()
    for names in ties:
        families.tie(names)
    for name in "abcdefghijkl":
        reached = {name}  # a naive walk to everything that shares a tie
        while more := {other for names in ties if reached & set(names) for other in names} - reached:
            reached |= more
        assert families.of(name) == min(reached)


@given(st.lists(st.lists(NAMES, min_size=2, max_size=3), max_size=8), st.randoms())
def test_the_order_of_ties_changes_nothing(ties, random):
    one, two = Families(), Families()
    for names in ties:
        one.tie(names)
    shuffled = [random.sample(names, len(names)) for names in random.sample(ties, len(ties))]
    for names in shuffled:
        two.tie(names)
    assert [one.of(name) for name in "abcdefghijkl"] == [two.of(name) for name in "abcdefghijkl"]


def test_one_family_in_twenty_goes_to_each_test_split():
    counts = Counter(split_of(f"family {number}") for number in range(20_000))
    expected = {"train": 18_000, "val": 1_000, "test": 1_000}
    assert set(counts) == set(expected)
    for split, count in expected.items():
        spread = (20_000 * (count / 20_000) * (1 - count / 20_000)) ** 0.5
        assert abs(counts[split] - count) < 4 * spread


def test_splits_never_change():
    """Corpora built by two versions of this program must not train on each other's tests."""
    found = {name: split_of(name) for name in ("moon", "star", "egg", "39", "cat", "dog", "zebra")}
    others = dict.fromkeys(("cat", "dog", "zebra"), "train")
    assert found == {"moon": "val", "star": "test", "egg": "val", "39": "val", **others}


def looks(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return draw(Drawing(file.getvalue()), 64).looks


def test_near_copies_are_one_family_whatever_they_are_called():
    rng = np.random.default_rng(0)
    smooth = [
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64)) for _ in range(3)
    ]
    one, two, three = (np.asarray(picture).astype(int) for picture in smooth)
    shown = {
        "aws": one,
        "amazon web services": one + rng.integers(-2, 3, one.shape),
        "cat": two,
        "dog": three,
    }
    families = Families()
    families.tie(["cat", "kitten"])
    tie_near_copies(families, list(shown), [looks(pixels) for pixels in shown.values()])
    assert families.of("aws") == families.of("amazon web services") == "amazon web services"
    assert [families.of(name) for name in ("cat", "kitten", "dog")] == ["cat", "cat", "dog"]


def test_pictures_with_nothing_to_tell_them_by_tie_nothing():
    faint = [np.full((64, 64, 3), 255) for _ in range(2)]
    for number, picture in enumerate(faint):
        picture[:3, 20 * number + 2 : 20 * number + 8] = 200
    families = Families()
    tie_near_copies(families, ["a", "b"], [looks(picture) for picture in faint])
    tie_near_copies(families, [], [])
    assert families.of("a") != families.of("b")
