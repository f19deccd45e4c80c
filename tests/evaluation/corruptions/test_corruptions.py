from __future__ import annotations

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from sightword.evaluation.corruptions import blurs, digital, noise, weather
from sightword.evaluation.corruptions.all import CORRUPTIONS, SEVERITIES, corrupted
from sightword.evaluation.corruptions.pixels import filtered, gaussian, motion, sampled, zoomed


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def texture(size: int = 48) -> np.ndarray:
    smooth = ndimage.gaussian_filter(chance(1).random((size, size, 3)), (2, 2, 0), mode="wrap")
    spread = (smooth - smooth.min()) / np.ptp(smooth)
    return spread.astype(np.float32)


def gray(value: float, size: int = 64) -> np.ndarray:
    return np.full((size, size, 3), value, dtype=np.float32)


def point(size: int = 31) -> np.ndarray:
    picture = np.zeros((size, size, 3), dtype=np.float32)
    picture[size // 2, size // 2] = 1
    return picture


def test_there_are_fourteen_of_fifteen() -> None:
    assert len(CORRUPTIONS) == 14
    assert "frost" not in CORRUPTIONS


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_a_function_of_its_key(name: str) -> None:
    picture = (texture() * 255).astype(np.uint8)
    before = picture.copy()
    one, again, other = (corrupted(picture, name, 3, key) for key in ("a", "a", "b"))
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(one, again)
    assert one.shape == picture.shape
    assert one.dtype == np.uint8
    assert (one != picture).any()
    drawn = name not in {
        "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"
    }  # fmt: skip
    assert (one != other).any() == drawn


@pytest.mark.parametrize(
    "name", sorted(set(CORRUPTIONS) - {"elastic_transform", "glass_blur", "snow", "fog"})
)
def test_severity_grows(name: str) -> None:
    picture = (texture() * 255).astype(np.uint8)
    errors = [np.abs(corrupted(picture, name, s, "k").astype(float) - picture).mean() for s in SEVERITIES]
    assert errors == sorted(errors)
    assert errors[-1] > 1.3 * errors[0]


@pytest.mark.parametrize(("severity", "spread"), [(1, 0.08), (3, 0.18)])
def test_gaussian_noise_has_the_papers_spread(severity: int, spread: float) -> None:
    made = noise.gaussian_noise(gray(0.5, 128), severity, chance(), 1.0)
    assert made.std() == pytest.approx(spread, rel=0.02)
    assert made.mean() == pytest.approx(0.5, abs=0.005)


def test_shot_noise_is_poissons() -> None:
    for value in (0.2, 0.8):
        made = noise.shot_noise(gray(value, 128), 2, chance(), 1.0)
        assert made.mean() == pytest.approx(value, rel=0.02)
        assert made.var() == pytest.approx(value / 25, rel=0.05)  # of a count: its mean, over 25 squared


def test_impulse_noise_is_salt_and_pepper_in_equal_parts() -> None:
    made = noise.impulse_noise(gray(0.4, 128), 4, chance(), 1.0)
    assert (made == 0).mean() == pytest.approx(0.17 / 2, rel=0.06)
    assert (made == 1).mean() == pytest.approx(0.17 / 2, rel=0.06)
    assert set(np.unique(made)) == {np.float32(0), np.float32(0.4), np.float32(1)}


def test_filters_are_correlations_with_borders() -> None:
    picture, kernel = texture(12), chance(2).random((5, 7))
    for mode, peer in (("reflect", "mirror"), ("edge", "nearest")):
        expected = np.stack([ndimage.correlate(picture[..., c], kernel, mode=peer) for c in range(3)], axis=2)
        np.testing.assert_allclose(filtered(picture, kernel, mode), expected, atol=1e-5)  # type: ignore[arg-type]


def test_a_disk_is_round_and_keeps_light() -> None:
    weights = blurs.disk(6.0, 0.0001)
    reach = weights.shape[0] // 2
    down, across = np.indices(weights.shape) - reach
    away = np.hypot(down, across)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights[away < 5], 1 / (np.pi * 36), rtol=0.01)
    assert weights[away > 7].max() < 1e-9
    half = blurs.defocus_blur(point(), 1, chance(), 0.5)  # 1.5 pixels
    assert half.sum() == pytest.approx(3, rel=1e-4)
    assert (half[..., 0] > 1e-3).sum() <= 21


def test_glass_takes_pixels_from_nearby() -> None:
    rows = np.broadcast_to((np.arange(48, dtype=np.float32) / 48)[:, None, None], (48, 48, 3)).copy()
    made = blurs.glass_blur(rows, 2, chance(), 1.0)  # two pixels, once
    moved = (made - gaussian(gaussian(rows, 0.9), 0.9)) * 48
    assert 0.3 < np.abs(moved[6:-6]).max() <= 2.0
    assert moved[6:-6].mean() < -0.2  # from two above to one below
    np.testing.assert_allclose(blurs.glass_blur(gray(0.3, 20), 5, chance(), 1.0), 0.3, atol=1e-6)


def test_motion_along_a_row_is_half_a_gaussian() -> None:
    made = motion(point(41), 4.0, 3.0, 0.0)[20, :, 0]
    steps = np.arange(0, 9, 0.25)
    weights = np.exp(-(steps**2) / 18)
    centroid = (np.arange(41) * made).sum() - 20
    assert made.sum() == pytest.approx(1, abs=1e-4)
    assert abs(centroid) == pytest.approx((weights * steps).sum() / weights.sum(), rel=1e-3)
    assert (motion(point(41), 4.0, 3.0, 0.0)[19] < 1e-6).all()
    tilted = motion(point(41), 4.0, 3.0, 30.0)[..., 0]
    down, across = (((np.indices((41, 41))[i] - 20) * tilted).sum() for i in range(2))
    assert down / across == pytest.approx(np.tan(np.radians(30)), rel=0.02)


def test_zoom_enlarges_the_middle() -> None:
    ramp = np.broadcast_to(((np.arange(40) + 0.5) / 40)[None, :, None], (40, 40, 3)).astype(np.float32)
    expected = 0.5 + (ramp - 0.5) / 2
    np.testing.assert_allclose(zoomed(ramp, 2.0), expected, atol=1e-5)
    np.testing.assert_allclose(zoomed(texture(), 1.0), texture(), atol=1e-5)
    factors = np.arange(1, 1.11, 0.01)  # as the paper's code has it, which rounding makes twelve
    assert len(factors) == 12
    mean = (ramp + sum(0.5 + (ramp - 0.5) / f for f in factors)) / 13
    inner = slice(5, -5)
    np.testing.assert_allclose(blurs.zoom_blur(ramp, 1, chance(), 1.0)[:, inner], mean[:, inner], atol=1e-4)


def test_brightness_is_added_to_the_value() -> None:
    picture = texture(8)
    picture[0, 0] = 0
    made = weather.brightness(picture, 3, chance(), 1.0).reshape(-1, 3)
    for pixel, found in zip(picture.reshape(-1, 3), made, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel.tolist())
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + 0.3))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_contrast_is_taken_from_each_channel() -> None:
    picture = texture()
    made = digital.contrast(picture, 2, chance(), 1.0)
    np.testing.assert_allclose(made.mean((0, 1)), picture.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(made.std((0, 1)), 0.3 * picture.std((0, 1)), rtol=1e-4)


def test_plasma_is_rough_where_it_fades_slowly() -> None:
    def step(decay: float) -> float:
        found = weather.plasma_fractal(64, decay, chance(3))
        assert (found.min(), found.max()) == (0, 1)
        wrapped = np.abs(found[:, 0] - found[:, -1]).mean()
        assert wrapped < 4 * np.abs(np.diff(found, axis=1)).mean()  # a torus: its ends meet
        return float(np.abs(np.diff(found, 2, axis=1)).mean())

    assert step(3.0) < step(2.0) < step(1.4)


def test_fog_hides_and_keeps_the_brightest() -> None:
    picture = 0.9 * texture()
    made = weather.fog(picture, 1, chance(), 1.0)
    assert made.max() <= picture.max() + 1e-6
    low = picture.max() / (picture.max() + 1.5)
    slope = np.polyfit(picture.ravel(), made.ravel(), 1)[0]
    assert slope == pytest.approx(low, abs=0.1)


def test_snow_whitens_and_falls() -> None:
    made = weather.snow(gray(0.3, 96), 1, chance(), 1.0)
    pale = 0.8 * 0.3 + 0.2 * (0.3 * 1.5 + 0.5)
    assert np.median(made) == pytest.approx(pale, abs=0.02)
    flakes = made[..., 0] - pale
    assert flakes.max() > 0.3
    np.testing.assert_allclose(flakes, flakes[::-1, ::-1], atol=1e-4)  # and again, turned around
    down, across = (np.abs(np.diff(flakes, axis=i)).mean() for i in range(2))
    assert down < across


def test_smoothing_by_cosines_is_scipys() -> None:
    layer = chance().random((20, 30))
    for sigma in (0.8, 2.4, 40.0):
        expected = ndimage.gaussian_filter(layer, sigma, mode="reflect", truncate=3)
        np.testing.assert_allclose(digital.smoothed(layer, sigma), expected, atol=1e-9)


def test_elastic_moves_three_points_and_no_further() -> None:
    down, across = np.indices((60, 60)).astype(np.float64)
    ramp = np.stack([down / 60, across / 60, 0 * down], axis=2).astype(np.float32)
    made = digital.elastic_transform(ramp, 3, chance(), 60 / 244)  # all shares of 60 pixels
    inner = (made - ramp)[12:-12, 12:-12, :2] * 60
    assert 0.3 < np.abs(inner).max() < 6
    roll = sampled(ramp, down + 1, across, "nearest")
    np.testing.assert_allclose(roll[:-1], ramp[1:], atol=1e-6)


def test_pixels_become_large() -> None:
    made = digital.pixelate(texture(40), 5, chance(), 1.0)  # a quarter of the side
    blocks = made.reshape(10, 4, 10, 4, 3)
    assert np.ptp(blocks, axis=(1, 3)).max() == 0
    means = texture(40).reshape(10, 4, 10, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks[:, 0, :, 0], means, atol=1.6 / 255)


def test_jpeg_is_pillows() -> None:
    picture = (texture() * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=10)
    np.testing.assert_array_equal(
        corrupted(picture, "jpeg_compression", 4, "k"), np.asarray(Image.open(file))
    )
