from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from sightword.evaluation.finetune.mixing import Mix, Mixing, draw_mix, mixed, targets

MIXES = [draw_mix(Mixing(), (32, 24), 0, index, 0) for index in range(4000)]


@pytest.mark.parametrize("shape", [(32, 32), (17, 40)])
def test_cutmix_gives_labels_exactly_the_area_that_is_left(shape: tuple[int, int]) -> None:
    own = torch.full((2, 3, *shape), 10, dtype=torch.uint8)
    own[1] = 200
    for index in range(300):
        mix = draw_mix(Mixing(mixup=0.0), shape, 1, index, 2)
        left = (mixed(own, mix)[0, 0] == 10).float().mean()
        assert mix.box is not None
        assert mix.share == pytest.approx(float(left), abs=1e-7)


def test_cutmix_boxes_have_the_papers_proportions_where_nothing_is_cut_off() -> None:
    height, width = 64, 96
    for index in range(300):
        mix = draw_mix(Mixing(mixup=0.0), (height, width), 0, index, 0)
        assert mix.box is not None
        top, left, bottom, right = mix.box
        if top > 0 and left > 0 and bottom < height and right < width and bottom - top > 8:
            assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.3)


def test_a_whole_boxs_area_is_uniform_before_it_is_cut() -> None:
    """Beta(1, 1): with centres far from the border the share would be uniform; cut boxes are smaller."""
    shares = np.array([draw_mix(Mixing(mixup=0.0), (200, 200), 5, i, 0).share for i in range(3000)])
    assert ((shares >= 0) & (shares <= 1)).all()
    # By integration: of a side of s = sqrt(1 - lambda) around u, the part between 0 and 1 is left.
    u, s = np.meshgrid(np.linspace(0.0005, 0.9995, 1000), np.sqrt(np.linspace(0.0005, 0.9995, 1000)))
    side = np.minimum(u + s / 2, 1) - np.maximum(u - s / 2, 0)
    wanted = 1 - float((side.mean(axis=1) ** 2).mean())
    assert shares.mean() == pytest.approx(wanted, abs=4 * shares.std() / 3000**0.5 + 0.01)


def test_mixup_shares_are_beta_and_half_of_the_batches_are_cut() -> None:
    cut = [mix for mix in MIXES if mix.box is not None]
    assert stats.binomtest(len(cut), len(MIXES)).pvalue > 1e-3
    blended = [mix.share for mix in MIXES if mix.box is None]
    assert stats.kstest(blended, stats.beta(0.8, 0.8).cdf).pvalue > 1e-3
    assert stats.kstest(blended, stats.beta(1.0, 1.0).cdf).pvalue < 1e-3


def test_one_way_alone_or_none() -> None:
    assert all(draw_mix(Mixing(cutmix=0.0), (8, 8), 0, i, 0).box is None for i in range(50))
    assert all(draw_mix(Mixing(mixup=0.0), (8, 8), 0, i, 0).box is not None for i in range(50))
    assert draw_mix(Mixing(mixup=0.0, cutmix=0.0), (8, 8), 0, 0, 0) == Mix(1.0)


def test_draws_depend_on_seed_epoch_and_place() -> None:
    assert draw_mix(Mixing(), (9, 9), 0, 3, 1) == draw_mix(Mixing(), (9, 9), 0, 3, 1)
    assert len({draw_mix(Mixing(), (9, 9), *at) for at in [(0, 3, 1), (1, 3, 1), (0, 4, 1), (0, 3, 2)]}) == 4


def test_pictures_are_mixed_with_the_reversed_batch() -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (5, 3, 7, 6), dtype=np.uint8)
    for mix in (Mix(0.37), Mix(0.8, (1, 2, 4, 5)), Mix(1.0)):
        found = mixed(torch.from_numpy(x.copy()), mix).numpy()
        for i in range(5):
            for row in range(7):
                for column in range(6):
                    own, other = x[i, :, row, column].astype(float), x[4 - i, :, row, column].astype(float)
                    pasted = mix.box is not None and 1 <= row < 4 and 2 <= column < 5
                    share = float(not pasted) if mix.box is not None else mix.share
                    wanted = share * own + (1 - share) * other
                    assert np.abs(found[i, :, row, column] - wanted).max() <= 0.5 + 1e-4


def test_targets_are_smoothed_and_shared() -> None:
    labels = torch.tensor([0, 2, 1])
    found = targets(labels, 4, 0.1, Mix(0.7))
    for i in range(3):
        for c in range(4):
            own = 0.9 * (c == int(labels[i])) + 0.1 / 4
            other = 0.9 * (c == int(labels[2 - i])) + 0.1 / 4
            assert float(found[i, c]) == pytest.approx(0.7 * own + 0.3 * other, abs=1e-6)
    assert found.sum(1).tolist() == pytest.approx([1.0] * 3)
