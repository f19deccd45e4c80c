"""Every operation against a twin in numpy, and the draws against what the policy's name says."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image
from scipy import stats

from sightword.evaluation.finetune import randaugment as ra

FILL = (124, 116, 104)
STRENGTHS = (-1.0, -0.55, 0.2, 0.9, 1.0)


def picture(seed: int = 0, height: int = 14, width: int = 11) -> UInt8[np.ndarray, "h w 3"]:
    """Smooth colours with some noise, not using all levels."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    base = np.stack([60 + 6 * rows, 200 - 9 * columns, 90 + 3 * rows + 4 * columns], axis=2)
    return (base + random.integers(-12, 13, base.shape)).clip(5, 240).astype(np.uint8)


def done(operation: ra.Operation, x: UInt8[np.ndarray, "h w 3"], strength: float) -> np.ndarray:
    return ra.apply_steps(x, [ra.Step(operation, strength)], FILL).astype(int)


def near(found: np.ndarray, wanted: np.ndarray, most: float) -> None:
    assert np.abs(found - wanted).max() <= most


def gray(x: np.ndarray) -> np.ndarray:
    return np.rint(x.astype(float) @ [0.299, 0.587, 0.114])


def cubic(t: float) -> float:
    """Pillow's kernel for transforms: Keys 1981 with a = -1."""
    t = abs(t)
    if t < 1:
        return t**3 - 2 * t**2 + 1
    return -(t**3) + 5 * t**2 - 8 * t + 4 if t < 2 else 0.0


def naive_affine(x: np.ndarray, matrix: tuple[float, ...]) -> np.ndarray:
    """Each pixel from where the matrix points, bicubically; the fill from outside."""
    height, width, _ = x.shape
    a, b, c, d, e, f = matrix
    out = np.empty(x.shape)
    for row in range(height):
        for column in range(width):
            u = a * (column + 0.5) + b * (row + 0.5) + c
            v = d * (column + 0.5) + e * (row + 0.5) + f
            if not (0 <= u < width and 0 <= v < height):
                out[row, column] = FILL
                continue
            u, v = u - 0.5, v - 0.5
            total = np.zeros(3)
            for j in range(math.floor(v) - 1, math.floor(v) + 3):
                for i in range(math.floor(u) - 1, math.floor(u) + 3):
                    pixel = x[min(max(j, 0), height - 1), min(max(i, 0), width - 1)].astype(float)
                    total += pixel * cubic(v - j) * cubic(u - i)
            out[row, column] = total.clip(0, 255)
    return out


def test_the_fifteen_operations_of_the_policy() -> None:
    names = [operation.__name__ for operation in ra.OPERATIONS]
    assert names == [
        *("auto_contrast", "equalize", "invert", "rotate", "posterize", "solarize", "solarize_add"),
        *("colour", "contrast", "brightness", "sharpness"),
        *("shear_x", "shear_y", "translate_x", "translate_y"),
    ]


def test_invert_is_255_minus_each_level() -> None:
    x = picture()
    near(done(ra.invert, x, 0.9), 255 - x.astype(int), 0)


def test_auto_contrast_stretches_each_channel() -> None:
    x = picture()
    low, high = x.min((0, 1)).astype(float), x.max((0, 1))
    near(done(ra.auto_contrast, x, 0.9), (x - low) * 255 / (high - low), 1)


def test_equalize_keeps_the_order_and_evens_the_histogram() -> None:
    x = np.random.default_rng(0).normal(100, 20, (80, 80, 3)).clip(0, 255).astype(np.uint8)
    found = done(ra.equalize, x, 0.9)
    for channel in range(3):
        before, after = x[..., channel].ravel(), found[..., channel].ravel()
        order = np.argsort(before, kind="stable")
        assert (np.diff(after[order]) >= 0).all()
        assert stats.kstest(after / 255, "uniform").statistic < 0.08
        assert stats.kstest(before / 255, "uniform").statistic > 0.2


@pytest.mark.parametrize(("strength", "bits"), [(0.0, 4), (0.3, 3), (0.9, 1), (-0.9, 1), (1.0, 0)])
def test_posterize_keeps_ever_fewer_bits(strength: float, bits: int) -> None:
    x = picture()
    near(done(ra.posterize, x, strength), x.astype(int) // 2 ** (8 - bits) * 2 ** (8 - bits), 0)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_solarize_and_solarize_add(strength: float) -> None:
    x = picture().astype(int)
    threshold = 256 - int(256 * abs(strength))
    near(done(ra.solarize, picture(), strength), np.where(x < threshold, x, 255 - x), 0)
    more = int(110 * abs(strength))
    near(done(ra.solarize_add, picture(), strength), np.where(x < 128, x + more, x), 0)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_blends_with_black_gray_and_the_mean(strength: float) -> None:
    x = picture()
    factor = max(0.1, 1 + 0.9 * strength)
    mean = np.rint(gray(x).mean())
    near(done(ra.brightness, x, strength), (x * factor).clip(0, 255), 1)
    near(done(ra.contrast, x, strength), (mean + factor * (x - mean)).clip(0, 255), 2)
    level = gray(x)[..., None]
    near(done(ra.colour, x, strength), (level + factor * (x - level)).clip(0, 255), 2)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_sharpness_blends_with_the_smoothed_picture(strength: float) -> None:
    x = picture()
    factor = max(0.1, 1 + 0.9 * strength)
    nine = [x[i : i + 12, j : j + 9].astype(float) for i in range(3) for j in range(3)]
    smooth = np.rint((sum(nine) + 4 * nine[4]) / 13)
    inside = x[1:-1, 1:-1]
    near(done(ra.sharpness, x, strength)[1:-1, 1:-1], (smooth + factor * (inside - smooth)).clip(0, 255), 2)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_shears_translations_and_rotation_take_each_pixel_from_where_they_say(strength: float) -> None:
    x = picture()
    height, width, _ = x.shape
    near(done(ra.shear_x, x, strength), naive_affine(x, (1, 0.3 * strength, 0, 0, 1, 0)), 2)
    near(done(ra.shear_y, x, strength), naive_affine(x, (1, 0, 0, 0.3 * strength, 1, 0)), 2)
    near(done(ra.translate_x, x, strength), naive_affine(x, (1, 0, 0.45 * strength * width, 0, 1, 0)), 2)
    near(done(ra.translate_y, x, strength), naive_affine(x, (1, 0, 0, 0, 1, 0.45 * strength * height)), 2)
    turn = math.radians(30 * strength)
    cos, sin = math.cos(turn), math.sin(turn)
    cx, cy = width / 2, height / 2
    turned = (cos, -sin, cx - cos * cx + sin * cy, sin, cos, cy - sin * cx - cos * cy)
    near(done(ra.rotate, x, strength), naive_affine(x, turned), 2)


def test_a_whole_pixel_translation_moves_pixels_and_fills() -> None:
    x = picture(height=8, width=20)
    moved = done(ra.translate_x, x, 1 / 3)  # .45 * 20 / 3 = 3 pixels
    near(moved[:, :17], x[:, 3:].astype(int), 0)
    assert (moved[:, 17:] == FILL).all()


@pytest.mark.parametrize("operation", [ra.solarize, ra.solarize_add, ra.posterize, ra.rotate, ra.brightness])
def test_more_strength_changes_more(operation: ra.Operation) -> None:
    x = picture(height=40, width=40)
    changes = [np.abs(done(operation, x, strength) - x).mean() for strength in (0.25, 0.6, 0.9)]
    assert changes == sorted(changes)
    assert changes[2] > changes[0]


def test_draws_depend_on_seed_sample_and_epoch_alone() -> None:
    how, ids = ra.RandAugment(), np.arange(50)
    whole = ra.draw_steps(how, 3, ids, 7)
    assert ra.draw_steps(how, 3, ids[::-1].copy(), 7) == whole[::-1]
    assert ra.draw_steps(how, 3, ids[10:11], 7) == whole[10:11]
    for other in (ra.draw_steps(how, 4, ids, 7), ra.draw_steps(how, 3, ids, 8)):
        assert other != whole


def test_draws_follow_the_policys_name() -> None:
    """rand-m9-mstd0.5-inc1: two of fifteen, each done half the time, magnitude N(9, .5) cut at 10."""
    drawn = ra.draw_steps(ra.RandAugment(), 0, np.arange(20_000), 0)
    steps = [step for its in drawn for step in its]
    counts = Counter(len(its) for its in drawn)
    assert stats.chisquare([counts[0], counts[1], counts[2]], [5_000, 10_000, 5_000]).pvalue > 1e-3
    operations = Counter(step.operation.__name__ for step in steps)
    assert len(operations) == 15
    assert stats.chisquare(list(operations.values())).pvalue > 1e-3
    strengths = np.array([step.strength for step in steps])
    assert stats.binomtest(int((strengths > 0).sum()), len(strengths)).pvalue > 1e-3
    magnitude = 10 * np.abs(strengths)
    at_most = int((magnitude == 10).sum())
    assert stats.binomtest(at_most, len(steps), float(stats.norm.sf(2))).pvalue > 1e-3
    below = magnitude[magnitude < 10]
    assert stats.kstest(below, stats.truncnorm(-np.inf, 2, loc=9, scale=0.5).cdf).pvalue > 1e-3


def test_steps_come_one_after_the_other() -> None:
    x = picture()
    steps = [ra.Step(ra.solarize, 0.5), ra.Step(ra.invert, 0.5)]
    image = Image.fromarray(x)
    for step in steps:
        image = step.operation(image, step.strength, FILL)
    near(ra.apply_steps(x, steps, FILL).astype(int), np.asarray(image).astype(int), 0)
    wanted = np.where(x < 128, 255 - x.astype(int), x)
    near(ra.apply_steps(x, steps, FILL).astype(int), wanted, 0)
    assert ra.apply_steps(x, [], FILL) is x
