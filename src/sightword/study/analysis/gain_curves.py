"""The gain as a smooth curve over the logarithm of size: between and beyond the sizes that were run.

    gain(N) = level + integral of slope(u) du to t(N),    t(N) = (1 - (N / N0)^-k) / (k ln 10)

N0 is the geometric middle of the sizes; t is log10(N / N0) for k = 0 and turns ever slower for k > 0, as the
curves of arms do that saturate as N^-k. The slope is a Gaussian process of mean zero with Matern-3/2
correlation: unknown, smooth, and far from the data back to zero. No form of either arm's law is assumed.
How steep the gain is (`STEEP`), how long slopes keep (`KEPT`), how it saturates (`RATES`, the k) and how
noisy seeds are is not known: everything is averaged over a grid of them, each by how well it explains the
gains (Rasmussen and Williams 2006, equations 2.41 to 2.43 for the flat level, section 5.2 for averaging). So
what is known of any size is a mixture of normals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy import special

from sightword.statistics import Interval
from sightword.study.analysis.gains import examples_covariance, seed_spread
from sightword.study.analysis.grids import Pairs

STEEP = np.geomspace(0.001, 0.3, 8)  # gain per decade of size, at the middle
USUAL, FACTOR = 0.05, float(np.exp(1.5))  # before any run: 5 points a decade, give or take this factor
KEPT = np.array([0.5, 1.0, 2.0])  # decades of size
RATES = np.array([0.0, 0.15, 0.3])
NOISES = 5  # how many levels of the seeds' noise are averaged over
_HALVINGS = 40
_NEGLIGIBLE = 1e-4  # settings so much less likely than the best are left out


# Every pair of the two that make a curve's shape.
_KEPT, _RATES = (one.ravel() for one in np.meshgrid(KEPT, RATES, indexing="ij"))


@dataclass(frozen=True, eq=False)
class Settings:
    """A grid of what is not known, flattened, shape (settings,): the place of the shape, steepness, noise."""

    shape: Int64[np.ndarray, " s"]
    steep: Float64[np.ndarray, " s"]
    noise: Float64[np.ndarray, " s"]

    def scaled(self, of_shapes: Float64[np.ndarray, "h n *m"]) -> Float64[np.ndarray, "s n *m"]:
        """Variances of each setting from those of each shape at a steepness of one."""
        return of_shapes[self.shape] * (self.steep**2).reshape(-1, *(1,) * (of_shapes.ndim - 1))


@dataclass(frozen=True, eq=False)
class GainCurve:
    """What is known of the gain at any size.

    sizes: with paired runs of two seeds or more, shape (sizes,).
    weights: of the settings, sum 1. level: of each, shape (settings,). solved: inverse covariances times the
        gains less level, shape (settings, sizes). inverses: shape (settings, sizes, sizes).
    """

    sizes: Float64[np.ndarray, " i"]
    settings: Settings
    weights: Float64[np.ndarray, " s"]
    level: Float64[np.ndarray, " s"]
    solved: Float64[np.ndarray, "s i"]
    inverses: Float64[np.ndarray, "s i i"]

    def normals(
        self, sizes: Float[np.ndarray, " n"]
    ) -> tuple[Float64[np.ndarray, "s n"], Float64[np.ndarray, "s n"]]:
        """Mean and standard deviation of the gain at sizes under each setting."""
        run, asked = (_warped(_decades(some, self.sizes)) for some in (self.sizes, sizes))
        to = self.settings.scaled(_covariance(asked, run, run[:, :1]))
        ones = self.inverses.sum(2)
        means = self.level[:, None] + (to @ self.solved[:, :, None])[:, :, 0]
        unlike = 1 - (to @ ones[:, :, None])[:, :, 0]
        variance = self.settings.scaled(_apart(asked - run[:, :1])) - ((to @ self.inverses) * to).sum(2)
        variance += unlike**2 / ones.sum(1)[:, None]
        return means, np.sqrt(np.maximum(variance, 1e-18))

    def above(self, sizes: Float[np.ndarray, " n"], value: float = 0.0) -> Float64[np.ndarray, " n"]:
        """How probable it is that the gain is over a value."""
        means, spreads = self.normals(sizes)
        return self.weights @ special.ndtr((means - value) / spreads)

    def interval(self, size: float | int, confidence: float = 0.95) -> Interval:
        """The gain at a size: its median with its interval."""
        shares = np.array([0.5, (1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(*(float(one) for one in self.quantiles(np.array([float(size)]), shares)[:, 0]))

    def quantiles(
        self, sizes: Float[np.ndarray, " n"], shares: Float[np.ndarray, " q"]
    ) -> Float64[np.ndarray, "q n"]:
        """Of the gain at sizes, by halving."""
        means, spreads = self.normals(sizes)
        means, spreads = means[:, None], spreads[:, None]
        low = np.broadcast_to((means - 9 * spreads).min(0), (len(shares), len(sizes)))
        high = np.broadcast_to((means + 9 * spreads).max(0), low.shape)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            under = np.tensordot(self.weights, special.ndtr((middle - means) / spreads), 1) < shares[:, None]
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return (low + high) / 2


def gain_curve(table: Pairs) -> GainCurve | None:
    """The curve through the gains; None with fewer than two sizes that have two seeds or more.

    Without seeds' spread the noise of training is not known, and no curve would say how sure it is.
    """
    present = table.present
    used = present.sum(1) > 1
    if used.sum() < 2:
        return None
    differences, counts = table.differences[used], present[used].sum(1)
    examples = examples_covariance(table.covariance[used][:, :, used], present[used], table.floor)
    seeds = seed_spread(differences).variance / counts
    sizes = np.array(table.sizes, dtype=float)[used]
    return _fit(sizes, np.nanmean(differences, axis=1), examples, seeds, float((counts - 1).sum()))


def _fit(
    sizes: Float64[np.ndarray, " i"],
    gains: Float64[np.ndarray, " i"],
    examples: Float64[np.ndarray, "i i"],
    seeds: Float64[np.ndarray, " i"],
    free: float,
) -> GainCurve:
    """Every setting's fit and weight; the seeds' noise spreads as `free` degrees of freedom leave it."""
    noises = free / (2 * special.gammaincinv(free / 2, (np.arange(NOISES) + 0.5) / NOISES))  # of chi-square
    shapes = np.arange(len(_KEPT))
    settings = Settings(*(one.ravel() for one in np.meshgrid(shapes, STEEP, noises, indexing="ij")))
    t = _warped(_decades(sizes, sizes))
    covariance = settings.scaled(_covariance(t, t, t[:, :1])) + examples
    covariance += settings.noise[:, None, None] * np.diag(seeds)
    inverses = np.linalg.inv(covariance)
    ones = inverses.sum(2)
    level = (ones @ gains) / ones.sum(1)
    rest = gains - level[:, None]
    solved = (inverses @ rest[:, :, None])[:, :, 0]
    misfit = (rest * solved).sum(1) + np.linalg.slogdet(covariance)[1] + np.log(ones.sum(1))
    belief = -misfit / 2 - (np.log(settings.steep / USUAL) / np.log(FACTOR)) ** 2 / 2
    weights = np.exp(belief - belief.max())
    kept = weights > _NEGLIGIBLE
    settings = Settings(settings.shape[kept], settings.steep[kept], settings.noise[kept])
    weights = weights[kept] / weights[kept].sum()
    return GainCurve(sizes, settings, weights, level[kept], solved[kept], inverses[kept])


def _decades(sizes: Float[np.ndarray, " n"], run: Float64[np.ndarray, " i"]) -> Float64[np.ndarray, " n"]:
    """From the geometric middle of the sizes that were run."""
    return np.log10(sizes) - np.log10(run).mean()


def _warped(decades: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "h n"]:
    """t of sizes that are so many decades from the middle, for each shape."""
    power = _RATES[:, None] * np.log(10)
    straight = power == 0
    bent = -np.expm1(-power * decades) / np.where(straight, 1, power)
    return np.where(straight, decades, bent)


def _apart(distance: Float64[np.ndarray, "h n *m"]) -> Float64[np.ndarray, "h n *m"]:
    """Variance of the gain's change over a distance of t: 2 ∫ (h - u) (1 + u / l) e^(-u / l) du."""
    length = _KEPT.reshape(-1, *(1,) * (distance.ndim - 1))
    h = np.abs(distance) / length
    return 2 * length**2 * np.where(h < 1e-3, h**2 / 2, 2 * h - 3 + (h + 3) * np.exp(-h))


def _covariance(
    t: Float64[np.ndarray, "h n"], other: Float64[np.ndarray, "h m"], origin: Float64[np.ndarray, "h 1"]
) -> Float64[np.ndarray, "h n m"]:
    """Of the gain's changes since an origin; under a flat level it does not matter which."""
    left, right = _apart(t - origin), _apart(other - origin)
    return (left[:, :, None] + right[:, None] - _apart(t[:, :, None] - other[:, None])) / 2
