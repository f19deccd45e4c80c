from __future__ import annotations

import numpy as np
import pytest
from drawn_studies import table_of
from scipy import integrate, stats

from sightword.study.analysis import gain_curves
from sightword.study.analysis.gain_curves import GainCurve, gain_curve


def curve_of(gains: list[float], seeds: int = 3, noise: float = 0.002, examples: float = 0.001) -> GainCurve:
    apart = np.linspace(-1, 1, seeds) * noise
    found = gain_curve(table_of(np.array(gains)[:, None] + apart, examples))
    assert found is not None
    return found


@pytest.mark.parametrize("shape", range(len(gain_curves._KEPT)))
def test_the_gains_covariance_is_the_slopes_integrated_twice(shape: int) -> None:
    """Against quadrature over the slope's covariance in the warped place."""
    length = gain_curves._KEPT[shape]
    t = gain_curves._warped(np.array([-1.0, -0.3, 0.4, 1.6]))[shape]

    def slopes(u: float, v: float) -> float:
        apart = abs(u - v) / length
        return float((1 + apart) * np.exp(-apart))

    every = np.tile(t, (len(gain_curves._KEPT), 1))
    found = gain_curves._covariance(every, every, every[:, :1])[shape]
    for i, j in ((1, 1), (1, 2), (3, 2), (3, 3)):
        expected, _ = integrate.dblquad(slopes, t[0], t[i], t[0], t[j], epsabs=1e-6)
        assert found[i, j] == pytest.approx(expected, rel=1e-4)


def test_the_warp_is_log_size_or_a_power_of_it() -> None:
    decades = np.array([-1.0, 0.0, 2.0])
    for rate, t in zip(gain_curves._RATES, gain_curves._warped(decades), strict=True):
        expected = decades if rate == 0 else (1 - 10 ** (-rate * decades)) / (rate * np.log(10))
        assert t == pytest.approx(expected)


def test_it_is_plain_conditioning_of_normals(monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting, against a joint normal of gains and what is asked, its level all but unknown."""
    gains, x, asked = np.array([0.05, 0.02, 0.01]), np.array([-1.0, 0.0, 1.0]), np.array([-0.5, 1.7])
    monkeypatch.setattr(gain_curves, "STEEP", np.array([0.04]))
    monkeypatch.setattr(gain_curves, "_KEPT", np.array([1.5]))
    monkeypatch.setattr(gain_curves, "_RATES", np.array([0.0]))
    monkeypatch.setattr(gain_curves, "NOISES", 1)
    curve = curve_of(gains.tolist(), seeds=4, noise=0.003, examples=0.002)
    means, spreads = curve.normals(10 ** (asked + 4))

    grid = np.linspace(-1, 1.7, 2701)  # slopes on a fine grid, summed to gains
    slopes = 0.04**2 * (1 + np.abs(grid[:, None] - grid) / 1.5) * np.exp(-np.abs(grid[:, None] - grid) / 1.5)
    sums = np.array([[(0.001 if g < place - 1e-9 else 0.0) for g in grid] for place in (*x, *asked)])
    joint = sums @ slopes @ sums.T + 100.0  # a level of spread 10
    seeds = np.var(np.linspace(-1, 1, 4) * 0.003, ddof=1) / 4
    noise = 9 / stats.chi2.ppf(0.5, 9)
    inverse = np.linalg.inv(joint[:3, :3] + np.eye(3) * (0.002**2 + noise * seeds))
    assert means[0] == pytest.approx(joint[3:, :3] @ inverse @ gains, abs=2e-4)
    left = joint[3:, 3:] - joint[3:, :3] @ inverse @ joint[:3, 3:]
    assert spreads[0] == pytest.approx(np.sqrt(np.diag(left)), rel=0.02)


def test_at_the_sizes_it_is_the_gains_and_beyond_it_widens() -> None:
    curve = curve_of([0.06, 0.03, 0.01], noise=0.0005, examples=0.0002)
    for size, gain in zip((1e3, 1e4, 1e5), (0.06, 0.03, 0.01), strict=True):
        found = curve.interval(size)
        assert found.value == pytest.approx(gain, abs=0.001)
    widths = [curve.interval(size).high - curve.interval(size).low for size in (1e5, 2e5, 5e5, 1e6)]
    assert widths == sorted(widths)
    assert widths[-1] > 10 * widths[0]


def test_quantiles_and_probabilities_agree_with_draws() -> None:
    curve, sizes = curve_of([0.03, 0.02, -0.01]), np.array([2e3, 4e4, 4e5])
    means, spreads = curve.normals(sizes)
    random = np.random.default_rng(0)
    which = random.choice(len(curve.weights), 200_000, p=curve.weights)
    draws = random.normal(means[which], spreads[which])
    found = curve.quantiles(sizes, np.array([0.05, 0.5, 0.9]))
    assert found == pytest.approx(np.quantile(draws, [0.05, 0.5, 0.9], axis=0), abs=0.002)
    assert curve.above(sizes) == pytest.approx((draws > 0).mean(axis=0), abs=0.005)
    assert curve.above(sizes, 0.01) == pytest.approx((draws > 0.01).mean(axis=0), abs=0.005)


def test_noisier_seeds_widen_it_and_fewer_seeds_more() -> None:
    def width(seeds: int, noise: float) -> float:
        found = curve_of([0.03, 0.02, 0.01], seeds, noise).interval(1e5)
        return found.high - found.low

    assert width(3, 0.01) > 1.5 * width(3, 0.002)
    assert width(2, 0.01) > width(5, 0.01)


def test_sizes_with_one_seed_are_left_out() -> None:
    seen = np.array([[0.05, 0.06], [0.03, 0.02], [0.01, np.nan]])
    curve = gain_curve(table_of(seen))
    assert curve is not None
    assert curve.sizes.tolist() == [1000, 10_000]
    assert gain_curve(table_of(seen[1:])) is None
    assert gain_curve(table_of(np.array([[0.1], [0.2]]))) is None
