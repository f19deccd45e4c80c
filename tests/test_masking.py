"""Masks: exact counts, pure in the sample, spread as the papers say; patches there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightword.masking import count_hidden, hidden, patchify, unpatchify
from sightword.words import Masking

KINDS = ("uniform", "block")


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    ratio=st.floats(0.05, 0.95),
    grid=st.tuples(st.integers(1, 15), st.integers(2, 15)),
    seed=st.integers(0, 2**31),
)
def test_every_row_hides_equally_many(kind: str, ratio: float, grid: tuple[int, int], seed: int) -> None:
    masking = Masking(ratio, kind)
    rows = hidden(masking, grid, seed, np.arange(9), epochs=1)
    assert rows.shape == (9, grid[0] * grid[1])
    counts = set(rows.sum(dim=1).tolist())
    assert counts == {count_hidden(masking, grid[0] * grid[1])}


@pytest.mark.parametrize(
    ("ratio", "positions", "hides"),
    [(0.75, 196, 147), (0.75, 49, 37), (0.9, 100, 90), (0.5, 5, 3), (0.99, 4, 3)],
)
def test_the_count_is_what_mae_keeps(ratio: float, positions: int, hides: int) -> None:
    assert count_hidden(Masking(ratio), positions) == hides


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_depends_on_the_sample_alone_not_on_its_batch(kind: str) -> None:
    masking = Masking(0.6, kind)
    ids = np.array([5, 900, 17, 2**40])
    whole = hidden(masking, (7, 7), 3, ids, epochs=2)
    for position in range(4):
        alone = hidden(masking, (7, 7), 3, ids[position : position + 1], epochs=2)
        assert torch.equal(alone[0], whole[position])
    assert torch.equal(hidden(masking, (7, 7), 3, ids[::-1], epochs=2), whole.flip(0))


@pytest.mark.parametrize("kind", KINDS)
def test_sample_epoch_seed_and_draw_each_change_the_mask(kind: str) -> None:
    def row(seed: int = 0, sample: int = 0, epoch: int = 0, draw: int = 0) -> bytes:
        masking = Masking(0.5, kind, draw=draw)
        return hidden(masking, (10, 10), seed, np.array([sample]), epoch).numpy().tobytes()

    assert row() == row()
    assert len({row(), row(seed=1), row(sample=1), row(epoch=1), row(draw=1)}) == 5


def test_uniform_hides_every_position_equally_often_and_independently() -> None:
    rows = hidden(Masking(0.75), (4, 4), 0, np.arange(20_000), epochs=0).double()
    deviation = (0.75 * 0.25 / 20_000) ** 0.5
    assert (rows.mean(dim=0) - 0.75).abs().max() < 4.5 * deviation
    correlation = torch.corrcoef(rows.T)
    apart = correlation[~torch.eye(16, dtype=torch.bool)]
    # Without replacement, two of n positions correlate by -1 / (n - 1).
    assert (apart + 1 / 15).abs().max() < 0.035


def test_blocks_hide_neighbours_together() -> None:
    def neighbours(kind: str) -> float:
        grid = hidden(Masking(0.4, kind), (14, 14), 0, np.arange(400), epochs=0).view(400, 14, 14)
        return (grid[:, :, 1:] & grid[:, :, :-1]).double().mean().item()

    assert neighbours("uniform") == pytest.approx(0.4**2, abs=0.01)
    assert neighbours("block") > 0.32  # nearly every hidden patch has a hidden neighbour


def test_blocks_are_rectangles_of_sixteen_patches_or_more() -> None:
    """Every block but the last, which is cut, survives an opening by some rectangle of twelve patches.

    (Sixteen patches at an aspect ratio of 0.3 to 3.3 round to no fewer than 2 x 7 = 14, or 3 x 5 = 15.)
    """
    grid = hidden(Masking(0.4, "block"), (14, 14), 1, np.arange(300), epochs=0).view(300, 1, 14, 14).float()
    covered = torch.zeros_like(grid, dtype=torch.bool)
    for shape in ((2, 6), (3, 4), (4, 3), (6, 2)):
        padding = (shape[1] - 1, shape[1] - 1, shape[0] - 1, shape[0] - 1)
        inside = -torch.nn.functional.max_pool2d(-grid, shape, stride=1)
        covered |= (
            torch.nn.functional.max_pool2d(torch.nn.functional.pad(inside, padding), shape, stride=1) > 0
        )
    share = (covered & grid.bool()).sum() / grid.sum()
    assert share > 0.93


def test_patches_go_there_and_back_and_lie_row_by_row() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 12), dtype=torch.uint8)
    patches = patchify(images, 4)
    assert patches.shape == (2, 6, 48)
    assert torch.equal(unpatchify(patches, (2, 3), 4), images)
    fifth = images[1, :, 4:8, 4:8]  # second row, second column
    assert torch.equal(patches[1, 4], fifth.permute(1, 2, 0).flatten())
