from __future__ import annotations

import numpy as np
import pil_reference
import pytest
from PIL import Image, ImageOps

from sightword.randomness import stream, uniform
from sightword.views import blocks
from sightword.views.colour import ORDERS, JitterDraw, draw_jitter, grayscale, jitter, solarize
from sightword.words import Jitter

SLIP = Jitter(0.4, 0.4, 0.4, 0.1)


def pictures(count: int, size: int = 24, seed: int = 0) -> np.ndarray:
    """Smooth coloured pictures: noise would hide errors of a whole picture's tint."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    fine = [np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC)) for c in coarse]
    return np.stack(fine).transpose(0, 3, 1, 2).copy()


def as_pil(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))


def only(step: int, amount: float, count: int) -> JitterDraw:
    amounts = np.tile([1.0, 1.0, 1.0, 0.0], (count, 1))
    amounts[:, step] = amount
    return JitterDraw(order=np.zeros(count, dtype=np.int64), amounts=amounts)


def test_jitter_without_hue_is_pils_to_the_bit() -> None:
    how = Jitter(0.4, 0.7, 1.3, 0.0)
    before = pictures(96)
    numbers = uniform(1, stream("test"), np.arange(96), 0, 5)
    after = before.copy()
    jitter(after, np.ones(96, dtype=bool), draw_jitter(how, numbers))
    theirs = [
        pil_reference.jitter(as_pil(x), how, row.tolist()) for x, row in zip(before, numbers, strict=True)
    ]
    away = np.abs(after.transpose(0, 2, 3, 1).astype(int) - np.stack([np.asarray(x) for x in theirs]))
    assert away.max() <= 1  # a compiler that fuses multiply and add may round a value the other way
    assert (away > 0).mean() < 1e-3


def test_jitter_is_pils_in_every_order() -> None:
    before = pictures(240)
    numbers = uniform(0, stream("test"), np.arange(240), 0, 5)
    numbers[:, 0] = (np.arange(240) % 24 + 0.5) / 24
    after = before.copy()
    jitter(after, np.ones(240, dtype=bool), draw_jitter(SLIP, numbers))
    deviation = np.empty(240)
    for i in range(240):
        theirs = np.asarray(pil_reference.jitter(as_pil(before[i]), SLIP, numbers[i].tolist()))
        deviation[i] = np.abs(after[i].transpose(1, 2, 0).astype(float) - theirs).mean()
    assert deviation.mean() < 1.2
    assert deviation.max() < 3
    assert np.abs(after.astype(float) - before).mean() > 10  # and it did something


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_factor_of_one_and_no_turn_change_nothing(step: int) -> None:
    before = pictures(5)
    after = before.copy()
    jitter(after, np.ones(5, dtype=bool), only(step, 1.0, 5))
    assert np.array_equal(before, after)


def test_factor_zero_gives_black_mean_gray_and_gray() -> None:
    before = pictures(3)
    luma = np.tensordot([0.299, 0.587, 0.114], before, axes=(0, 1))
    expected = [np.zeros_like(luma), np.broadcast_to(luma.mean(axis=(1, 2), keepdims=True), luma.shape), luma]
    for step in range(3):
        after = before.copy()
        jitter(after, np.ones(3, dtype=bool), only(step, 0.0, 3))
        assert np.abs(after - expected[step][:, None]).max() <= 1.0


def test_draws_span_torchvisions_ranges() -> None:
    numbers = uniform(0, stream("test"), np.arange(5000), 0, 5)
    draw = draw_jitter(Jitter(0.4, 1.5, 0.2, 0.1), numbers)
    assert draw.amounts.min(axis=0) == pytest.approx([0.6, 0.0, 0.8, -0.1], abs=0.01)
    assert draw.amounts.max(axis=0) == pytest.approx([1.4, 2.5, 1.2, 0.1], abs=0.01)
    assert np.bincount(draw.order, minlength=24) == pytest.approx([5000 / 24] * 24, rel=0.3)
    assert len(ORDERS) == 24


def test_grayscale_and_solarize_are_pils_to_the_bit() -> None:
    before = np.random.default_rng(4).integers(0, 256, (8, 3, 20, 20), dtype=np.uint8)
    chosen = np.arange(8) % 3 == 0
    gray, solar = before.copy(), before.copy()
    grayscale(gray, chosen)
    solarize(solar, chosen)
    for i in range(8):
        picture = as_pil(before[i])
        expected_gray = picture.convert("L").convert("RGB") if chosen[i] else picture
        expected_solar = ImageOps.solarize(picture, 128) if chosen[i] else picture
        assert np.array_equal(gray[i].transpose(1, 2, 0), np.asarray(expected_gray))
        assert np.array_equal(solar[i].transpose(1, 2, 0), np.asarray(expected_solar))


def test_only_chosen_rows_change() -> None:
    before = pictures(40)
    after = before.copy()
    chosen = np.arange(40) % 2 == 1
    jitter(after, chosen, draw_jitter(SLIP, uniform(0, stream("test"), np.arange(40), 0, 5)))
    changed = (after != before).any(axis=(1, 2, 3))
    assert np.array_equal(changed, chosen)


def test_the_size_of_blocks_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pictures(100)
    draw = draw_jitter(SLIP, uniform(0, stream("test"), np.arange(100), 0, 5))
    results = []
    for block in (1, 5000, 2**22):
        monkeypatch.setattr(blocks, "BLOCK", block)
        results.append(before.copy())
        jitter(results[-1], np.ones(100, dtype=bool), draw)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
