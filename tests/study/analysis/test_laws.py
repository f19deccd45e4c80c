from __future__ import annotations

import numpy as np
import pytest
from drawn_studies import ARMS, drawn
from scipy import optimize

from sightword.study.analysis import laws as room
from sightword.study.analysis.grids import grids
from sightword.study.analysis.laws import fit, laws

SIZES = np.array([1e3, 3e3, 1e4, 3e4, 1e5])


def basis_of(sizes: np.ndarray) -> np.ndarray:
    return (sizes / 1e4) ** -room.RATES[:, None]


def loss(errors: np.ndarray, fitted: np.ndarray, spread: float) -> float:
    apart = np.abs(errors - fitted) / spread
    return float(np.where(apart <= 1.345, apart**2, 2 * 1.345 * apart - 1.345**2).sum())


@pytest.mark.parametrize(
    ("a", "b", "c"), [(0.3, 0.4, 0.4), (0.0, 0.5, 0.1), (0.6, 0.1, 1.2), (0.5, 0.0, 0.5)]
)
def test_it_finds_the_least_huber_loss_that_scipy_finds(a: float, b: float, c: float) -> None:
    random = np.random.default_rng(int(100 * (a + b + c)))
    sizes, spread = np.repeat(SIZES, 3), 0.01
    errors = a + b * (sizes / 1e4) ** -c + spread * random.standard_normal(15)
    errors[4] += 8 * spread  # a run that went wrong
    found = fit(basis_of(sizes), errors[None], np.full(15, spread))
    own = loss(errors, found[0][0] + found[1][0] * basis_of(sizes)[found[2][0]], spread)

    def apart(theta: np.ndarray) -> np.ndarray:
        return (errors - theta[0] - theta[1] * (sizes / 1e4) ** -theta[2]) / spread

    best = min(
        2 * 1.0
        * optimize.least_squares(
            apart, start, bounds=([0, 0, 0.02], [1, 2, 2.0]), loss="huber", f_scale=1.345
        ).cost
        for start in ([0.1, 0.5, 0.1], [0.4, 0.3, 0.5], [0.6, 0.1, 1.5])
    )  # fmt: skip
    assert own <= 1.02 * best + 0.02


def test_the_bounds_hold_and_the_bounded_fit_is_the_best_within() -> None:
    """Against a dense search, for errors that would have a or b below zero."""
    sizes = SIZES
    weights = np.ones((1, 5))
    for errors in (0.9 * (sizes / 1e3) ** -0.5 - 0.1, 0.2 + 0.05 * np.log10(sizes / 1e3)):
        a, b, rate = room._least_squares(basis_of(sizes), errors[None], weights)
        assert a[0] >= 0
        assert b[0] >= 0
        basis = basis_of(sizes)[rate[0]]
        own = ((errors - a[0] - b[0] * basis) ** 2).sum()
        grid = np.linspace(0, 1, 201)
        every = errors - grid[:, None, None] - grid[None, :, None] * basis
        assert own <= (every**2).sum(2).min() + 1e-12


def truth(arm: int, size: int) -> float:
    return 1 - (0.2 + 0.5 * (size / 1000) ** -(0.3 + 0.1 * arm))


def test_one_lost_run_hardly_moves_a_law() -> None:
    def fitted(lost: float) -> np.ndarray:
        points = drawn(truth, (1000, 3000, 10_000, 30_000, 100_000), seeds=5)
        (grid,) = grids(points, ARMS)
        grid.values[0, 2, 1] -= lost
        return laws(grid, 10)[0].error(SIZES)

    assert np.abs(fitted(0.02) - fitted(0)).max() < 0.006
    assert np.abs(fitted(0.2) - fitted(0.02)).max() < 0.02


def test_bands_hold_the_law_and_arms_share_their_draws() -> None:
    (grid,) = grids(drawn(truth, (1000, 3000, 10_000, 30_000, 100_000), n=4000), ARMS)
    first, second = laws(grid)
    low, high = first.band(SIZES)
    real = 1 - np.array([truth(0, size) for size in SIZES])
    assert ((low - 0.01 < real) & (real < high + 0.01)).all()
    assert (low <= first.error(SIZES)).all()
    assert (first.error(SIZES) <= high).all()
    one, other = first.drawn(SIZES)[:, 2], second.drawn(SIZES)[:, 2]
    assert np.corrcoef(one, other)[0, 1] > 0.3  # the same test examples
    again = laws(grid)
    assert again[0].samples.tolist() == first.samples.tolist()
    assert laws(grid, seed=1)[0].samples.tolist() != first.samples.tolist()


def test_the_bootstrap_shifts_sizes_as_seeds_do() -> None:
    random = np.random.default_rng(0)
    errors = random.normal(0.5, 0.01, (5, 4))
    multiples, share = random.standard_normal((20_000, 5, 5, 4)), random.random(20_000)
    shifts = room._seed_draws(errors, multiples, share)
    spread = room.seed_spread(errors)
    assert shifts.std(axis=0) == pytest.approx(np.sqrt(spread.variance / 4 * 15 / 13), rel=0.05)
    assert np.abs(np.corrcoef(shifts.T) - np.eye(5)).max() < 0.05


def test_where_few_sizes_do_not_tell_the_bands_are_wide() -> None:
    few, many = (
        laws(grids(drawn(truth, sizes, n=4000), ARMS)[0])[0]
        for sizes in ((1000, 2000, 4000), (1000, 3000, 10_000, 30_000, 100_000))
    )
    asked = np.array([4e4])
    widths = [float(high[0] - low[0]) for low, high in (few.band(asked), many.band(asked))]
    assert widths[0] > 4 * widths[1]


def test_too_little_has_no_law() -> None:
    assert laws(grids(drawn(truth, (1000, 3000)), ARMS)[0]) == []
    assert laws(grids(drawn(truth, seeds=1), ARMS)[0]) == []
    with pytest.raises(ValueError, match="positive"):
        laws(grids(drawn(truth), ARMS)[0], 0)
