from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from sightword.views.blur import FAINT, blur, half_kernels


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.05, 6.0), min_size=1, max_size=8))
def test_kernels_have_the_gaussians_mass_and_variance(sigmas: list[float]) -> None:
    sigma = np.array(sigmas)
    half = half_kernels(sigma)
    away = np.arange(half.shape[1])
    assert (half >= 0).all()
    assert 2 * half.sum(axis=1) - half[:, 0] == pytest.approx(np.ones(len(sigma)))
    assert 2 * (half * away**2).sum(axis=1) == pytest.approx(sigma**2)
    assert (np.diff(half, axis=1) <= 1e-12).all()


def test_blur_is_pils_on_the_chosen_rows() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (30, 12, 12, 3), dtype=np.uint8)
    before = np.stack(
        [np.asarray(Image.fromarray(c).resize((48, 48), Image.Resampling.BICUBIC)) for c in coarse]
    )
    before = before.transpose(0, 3, 1, 2).copy()
    rows = np.arange(0, 30, 2)
    sigma = np.linspace(0.02, 3.5, 15)
    after = before.copy()
    blur(after, rows, sigma)
    for row, s in zip(rows, sigma, strict=True):
        picture = Image.fromarray(np.ascontiguousarray(before[row].transpose(1, 2, 0)))
        theirs = np.asarray(picture.filter(ImageFilter.GaussianBlur(radius=float(s))))
        deviation = np.abs(after[row].transpose(1, 2, 0).astype(float) - theirs)
        assert deviation.mean() < 1.0, s
        assert deviation[8:-8, 8:-8].max() <= 3, s
    others = np.arange(1, 30, 2)
    assert np.array_equal(after[others], before[others])


def test_a_flat_picture_stays_and_a_point_spreads_evenly() -> None:
    flat = np.full((1, 3, 16, 16), 77, dtype=np.uint8)
    blur(flat, np.array([0]), np.array([2.0]))
    assert (flat == 77).all()
    point = np.zeros((1, 3, 31, 31), dtype=np.uint8)
    point[..., 15, 15] = 255
    blur(point, np.array([0]), np.array([1.0]))
    spread = point[0, 0]
    assert np.array_equal(spread, spread.T)
    assert np.array_equal(spread, spread[::-1])
    assert spread[15, 15] == spread.max() < 50
    assert (spread.astype(float) / spread.sum() * (np.arange(31) - 15) ** 2).sum() == pytest.approx(
        1.0, abs=0.1
    )


def test_a_blur_too_weak_to_see_changes_nothing() -> None:
    before = np.random.default_rng(1).integers(0, 256, (2, 3, 9, 9), dtype=np.uint8)
    after = before.copy()
    blur(after, np.arange(2), np.array([0.0, FAINT]))
    blur(after, np.arange(0), np.zeros(0))
    assert np.array_equal(before, after)
