from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sightword.evaluation.finetune.erasing import TRIES, Erasing, boxes, erase
from sightword.randomness import stream, uniform

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def naive_box(how: Erasing, shape: tuple[int, int], seed: int, sample: int, epoch: int) -> list[int]:
    """Algorithm 1, one try after the other."""
    numbers = uniform(seed, stream("erase", how), [sample], epoch, 3 + 2 * TRIES)[0].tolist()
    if numbers[0] >= how.p:
        return [0, 0, 0, 0]
    for area, ratio in zip(numbers[3 : 3 + TRIES], numbers[3 + TRIES :], strict=True):
        target = shape[0] * shape[1] * (how.area[0] + area * (how.area[1] - how.area[0]))
        aspect = math.exp(math.log(how.aspect[0]) + ratio * math.log(how.aspect[1] / how.aspect[0]))
        height, width = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < height < shape[0] and 0 < width < shape[1]:
            top, left = int(numbers[1] * (shape[0] - height + 1)), int(numbers[2] * (shape[1] - width + 1))
            return [top, left, height, width]
    return [0, 0, 0, 0]


@pytest.mark.parametrize("shape", [(32, 32), (9, 31)])
def test_boxes_are_those_of_the_algorithm(shape: tuple[int, int]) -> None:
    how, ids = Erasing(p=0.6), np.arange(400)
    found = boxes(how, shape, 2, ids, 5)
    for i in ids:
        wanted = naive_box(how, shape, 2, int(i), 5)
        assert found[i, 2:].tolist() == wanted[2:]
        if wanted[2]:
            assert found[i].tolist() == wanted


def test_a_quarter_is_erased_within_the_ranges() -> None:
    side = 224
    found = boxes(Erasing(), (side, side), 0, np.arange(8000), 0)
    erased = found[found[:, 2] > 0]
    assert stats.binomtest(len(erased), 8000, 0.25).pvalue > 1e-3
    top, left, height, width = erased.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= side).all()
    assert (left + width <= side).all()
    share = height * width / side**2
    rounding = 1.5 / 30
    assert share.min() > 0.02 * (1 - rounding)
    assert share.max() < (1 + rounding) / 3
    assert share.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.01)
    aspect = np.log(height / width)
    assert np.abs(aspect).max() < math.log(1 / 0.3) * (1 + rounding)
    assert np.median(aspect) == pytest.approx(0, abs=0.08)  # as often flat as tall
    assert stats.kstest(aspect, stats.uniform(math.log(0.3), 2 * math.log(1 / 0.3)).cdf).statistic < 0.05


def test_places_are_even() -> None:
    found = boxes(Erasing(p=1.0, area=(0.04, 0.04), aspect=(1.0, 1.0)), (50, 50), 0, np.arange(4100), 0)
    assert (found[:, 2:] == 10).all()
    for corner in (found[:, 0], found[:, 1]):
        assert stats.chisquare(np.bincount(corner, minlength=41)).pvalue > 1e-3


def test_the_box_becomes_noise_and_nothing_else_changes() -> None:
    count, how = 60, Erasing(p=0.5)
    before = np.full((count, 3, 40, 40), 7, dtype=np.uint8)
    after, ids = before.copy(), np.arange(count)
    erase(after, how, (MEAN, DEVIATION), 1, ids, np.full(count, 3))
    noise = []
    for i, (top, left, height, width) in enumerate(boxes(how, (40, 40), 1, ids, 3)):
        inside = np.zeros((40, 40), dtype=bool)
        inside[top : top + height, left : left + width] = height > 0
        assert (after[i][:, ~inside] == 7).all()
        noise.append(after[i][:, inside])
    levels = np.concatenate(noise, axis=1) / 255
    for channel in range(3):
        drawn = stats.norm(MEAN[channel], DEVIATION[channel])
        uncut = levels[channel][(levels[channel] > 0) & (levels[channel] < 1)]
        cut = stats.truncnorm(*((np.array([0, 1]) - MEAN[channel]) / DEVIATION[channel]), *drawn.args)
        assert uncut.mean() == pytest.approx(cut.mean(), abs=0.006)
        assert uncut.std() == pytest.approx(cut.std(), abs=0.006)
        assert (levels[channel] == 0).mean() == pytest.approx(drawn.cdf(0.5 / 255), abs=0.006)


def test_noise_depends_on_seed_sample_and_epoch_alone() -> None:
    x = np.zeros((6, 3, 20, 20), dtype=np.uint8)
    how, ids, epochs = Erasing(p=1.0), np.arange(6), np.full(6, 2)

    def erased(seed: int, ids: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        made = x[: len(ids)].copy()
        erase(made, how, (MEAN, DEVIATION), seed, ids, epochs)
        return made

    whole = erased(0, ids, epochs)
    assert np.array_equal(erased(0, ids[3:], epochs[3:]), whole[3:])
    assert not np.array_equal(erased(1, ids, epochs), whole)
    assert not np.array_equal(erased(0, ids, epochs + 1), whole)
