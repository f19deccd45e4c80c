from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightword.views.hue import near_ties, turn_hue, turn_real, turn_whole


def edge_cases(rng: np.random.Generator) -> np.ndarray:
    """256 colours: any, grays, black, white, and those on the hexagon's corners and sides."""
    x = rng.integers(0, 256, (1, 3, 256), dtype=np.uint8)
    x[0, :, :8] = [[0, 255, 255, 0, 7, 7, 0, 255]] * 3
    x[0, :, 8:14] = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 0], [0, 9, 9], [9, 0, 9]]).T
    x[0, 1, 20:90] = x[0, rng.integers(0, 2, 70) * 2, np.arange(20, 90)]  # two channels alike
    return x


@pytest.mark.parametrize("turns", [-0.5, -0.1, 0.0, 0.037, 1 / 3, 0.5])
def test_hue_is_turned_as_in_colorsys(turns: float) -> None:
    before = edge_cases(np.random.default_rng(3))
    after = before.copy()
    turn_hue(after, np.full((1, 1), turns, dtype=np.float32))
    for old, new in zip(before[0].T, after[0].T, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(old / 255.0))
        expected = np.array(colorsys.hsv_to_rgb((hue + turns) % 1.0, saturation, value)) * 255
        assert np.abs(new - expected).max() <= 0.501, (old, new, expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-0.5, 0.5, width=32), min_size=1, max_size=5), st.integers(0, 99))
def test_value_and_chroma_stay_and_pictures_are_turned_alone(turns: list[float], seed: int) -> None:
    before = np.concatenate([edge_cases(np.random.default_rng(seed + i)) for i in range(len(turns))])
    amounts = np.array(turns, dtype=np.float32)[:, None]
    after = before.copy()
    turn_hue(after, amounts)
    assert np.array_equal(after.max(axis=1), before.max(axis=1))
    assert np.array_equal(after.min(axis=1), before.min(axis=1))
    for i in range(len(turns)):
        alone = before[i : i + 1].copy()
        turn_hue(alone, amounts[i : i + 1])
        assert np.array_equal(alone[0], after[i])


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.5, 0.5, width=32), st.integers(0, 10**6))
def test_integers_and_floats_give_the_same_but_for_near_ties(turn: float, seed: int) -> None:
    turns = np.full((1, 1), turn, dtype=np.float32)
    whole = np.random.default_rng(seed).integers(0, 256, (1, 3, 2000), dtype=np.uint8)
    real, either = whole.copy(), whole.copy()
    turn_hue(either, turns)
    turn_real(real, turns)
    assert np.array_equal(real, either)
    turn_whole(whole, turns)
    differ = np.abs(whole.astype(int) - real)
    assert differ.max() <= near_ties(turns)  # 0, or 1 where one is near


def test_a_tie_is_seen_and_most_turns_are_far_from_one() -> None:
    for turn, tied in ((1 / 12, True), (0.25, True), (0.0, False), (0.5, False)):
        assert near_ties(np.full((1, 1), turn, dtype=np.float32)) == tied
    turns = np.random.default_rng(0).uniform(-0.1, 0.1, (1000, 1, 1)).astype(np.float32)
    assert 0.05 < np.mean([near_ties(turn) for turn in turns]) < 0.35
