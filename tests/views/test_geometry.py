from __future__ import annotations

import numpy as np
import pil_reference
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightword.randomness import stream, uniform
from sightword.views.geometry import CROP_DRAWS, boxes, cut, sizes_of
from sightword.words import View

sides = st.integers(1, 700)


def draws(count: int, seed: int = 0) -> np.ndarray:
    return uniform(seed, stream("test"), np.arange(count), 0, CROP_DRAWS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=20), st.sampled_from([0.08, 0.2, 0.5, 1.0]))
def test_boxes_lie_inside_and_have_the_shape_that_was_asked_for(
    sizes: list[tuple[int, int]], least: float
) -> None:
    view = View(size=32, scale=(least, 1.0))
    whole = np.array(sizes)
    found = boxes(whole, view, draws(len(sizes)))
    top, left, height, width = found.T
    assert (np.stack([top, left, height, width]) >= [[0], [0], [1], [1]]).all()
    assert (top + height <= whole[:, 0]).all()
    assert (left + width <= whole[:, 1]).all()
    roomy = (
        (height > 20) & (width > 20) & (whole[:, 0] / whole[:, 1] > 0.8) & (whole[:, 0] / whole[:, 1] < 1.25)
    )
    ratio = width / height
    assert (np.abs(np.log(ratio[roomy])) <= np.log(4 / 3) + 0.06).all()
    assert (height * width >= 0.9 * least * whole.prod(axis=1))[roomy].all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=20), st.integers(0, 10**6))
def test_boxes_are_those_of_the_scalar_algorithm(sizes: list[tuple[int, int]], seed: int) -> None:
    view = View(size=32, scale=(0.08, 1.0))
    numbers = draws(len(sizes), seed)
    expected = [
        pil_reference.crop_box(*size, view, row.tolist()) for size, row in zip(sizes, numbers, strict=True)
    ]
    assert boxes(np.array(sizes), view, numbers).tolist() == [list(box) for box in expected]


@pytest.mark.parametrize(
    ("size", "box"), [((30, 300), [0, 130, 30, 40]), ((300, 30), [130, 0, 40, 30]), ((1, 1), [0, 0, 1, 1])]
)
def test_a_picture_that_no_try_fits_gives_its_middle(size: tuple[int, int], box: list[int]) -> None:
    view = View(size=8, scale=(1.0, 1.0))
    assert boxes(np.array([size]), view, draws(1)).tolist() == [box]


def test_areas_and_places_are_spread_evenly() -> None:
    count = 4000
    found = boxes(np.tile([400, 400], (count, 1)), View(size=8, scale=(0.08, 0.5)), draws(count))
    share = found[:, 2] * found[:, 3] / 160_000
    assert np.histogram(share, bins=4, range=(0.08, 0.5))[0] == pytest.approx([count / 4] * 4, rel=0.12)
    place = found[:, 0] / np.maximum(400 - found[:, 2], 1)
    assert np.histogram(place, bins=4, range=(0, 1))[0] == pytest.approx([count / 4] * 4, rel=0.12)


def test_cut_is_pils_crop_and_resize() -> None:
    rng = np.random.default_rng(1)
    images = [
        rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(64, 64), (37, 90), (201, 160), (5, 3)]
    ]
    crops = np.array([[3, 5, 50, 41], [0, 0, 37, 90], [10, 20, 180, 139], [1, 1, 1, 2]])
    flipped = np.array([False, True, True, False])
    for image, crop, flip, mine in zip(images, crops, flipped, cut(images, crops, flipped, 40), strict=True):
        top, left, height, width = crop.tolist()
        theirs = Image.fromarray(image).crop((left, top, left + width, top + height))
        pixels = np.asarray(theirs.resize((40, 40), Image.Resampling.BILINEAR))
        expected = pixels[:, ::-1] if flip else pixels
        assert np.abs(mine.transpose(1, 2, 0).astype(int) - expected.astype(int)).max() <= 1


def test_forms_of_input_agree_and_are_left_as_they_were() -> None:
    stacked = np.random.default_rng(2).integers(0, 256, (6, 30, 50, 3), dtype=np.uint8)
    before = stacked.copy()
    crops = np.array([[i, 2 * i, 20 - i, 30 - i] for i in range(6)])
    flipped = np.arange(6) % 2 == 0
    first = cut(stacked, crops, flipped, 24)
    assert np.array_equal(first, cut(torch.from_numpy(stacked), crops, flipped, 24))
    assert np.array_equal(first, cut(list(stacked), crops, flipped, 24))
    stacked.setflags(write=False)
    assert np.array_equal(first, cut(list(stacked), crops, flipped, 24))
    assert np.array_equal(first, cut([np.asfortranarray(image) for image in stacked], crops, flipped, 24))
    assert np.array_equal(stacked, before)
    assert sizes_of(stacked).tolist() == sizes_of(list(stacked)).tolist() == [[30, 50]] * 6
