"""A saturating power law of each arm's error over size, fitted to all its seeds by a robust loss.

    error(N) = a + b (N / N0)^-c,    a >= 0, b >= 0, c > 0,    N0 the geometric middle of the sizes

For a given c the law is linear, so a and b have a closed form (variable projection, Golub and Pereyra 1973)
and the only search is over a grid of c, for all bootstrap samples at once. The loss is Huber's (1964,
k = 1.345) of residuals in units of the seeds' spread, by reweighting. Where few sizes do not tell a from c,
the bootstrap samples run through all that fit, and the bands are wide. They hold the truth only where the arm
does follow such a law (`bench/study_coverage.py` measures it), so no verdict rests on them: what is said of
gains comes from the gain's own curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int
from scipy import special

from sightword.study.analysis.gains import deviations, examples_covariance, seed_spread
from sightword.study.analysis.grids import Grid

RATES = np.geomspace(0.02, 2.0, 48)
_HUBER = 1.345
_ROUNDS = 4  # of reweighting
_LEAST = 1e-4  # a spread of seeds under a hundredth of a point is not believed


@dataclass(frozen=True, eq=False)
class Law:
    """One fitted law and its bootstrap samples.

    a, b, c, middle: of the module's equation, N0 = middle.
    samples: a, b, c of each bootstrap sample, shape (samples, 3).
    """

    objective: str
    a: float
    b: float
    c: float
    middle: float
    samples: Float64[np.ndarray, "r 3"]

    def error(self, sizes: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """The fitted error at sizes."""
        return self.a + self.b * (np.asarray(sizes) / self.middle) ** -self.c

    def drawn(self, sizes: Float[np.ndarray, " n"]) -> Float64[np.ndarray, "r n"]:
        """The error at sizes of each bootstrap sample; equal samples of two arms of one fit are paired."""
        a, b, c = self.samples.T[:, :, None]
        return a + b * (np.asarray(sizes) / self.middle) ** -c

    def band(
        self, sizes: Float[np.ndarray, " n"], confidence: float = 0.95
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """The ends of the bootstrap interval at each size."""
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.drawn(sizes), [tail, 1 - tail], axis=0)
        return low, high


def laws(grid: Grid, resamples: int = 400, seed: int = 0) -> list[Law]:
    """A law for each arm that has three sizes with two seeds or more.

    A bootstrap sample shifts the mean of each size by what seeds and test examples could have done: by the
    examples' covariance over arms and sizes, and by random multiples of the seeds' own deviations (of the
    size, and with less weight of the others, as in `seed_spread`), widened as t is. Seeds themselves are not
    drawn again, because two to five hold too few samples. All arms of one call share their draws.

    Raises:
        ValueError: unless resamples is positive.
    """
    if resamples < 1:
        raise ValueError(f"resamples must be positive, found {resamples}")
    generator = np.random.default_rng(seed)
    sizes = len(grid.sizes)
    multiples = generator.standard_normal((resamples, sizes, sizes, len(grid.seeds)))
    share = generator.random(resamples)
    by_examples = _example_draws(grid, generator, resamples)
    found = []
    for arm, objective in enumerate(grid.objectives):
        errors = 1 - grid.values[arm]
        used = np.isfinite(errors).sum(1) > 1
        if used.sum() >= 3:
            drawn = multiples[:, used][:, :, used]
            shifts = by_examples[:, arm, used] + _seed_draws(errors[used], drawn, share)
            found.append(_law(objective, np.array(grid.sizes, dtype=float)[used], errors[used], shifts))
    return found


def fit(
    basis: Float64[np.ndarray, "c m"],
    errors: Float64[np.ndarray, "r m"],
    spreads: Float64[np.ndarray, " m"],
) -> tuple[Float64[np.ndarray, " r"], Float64[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """a, b and the rate's place in the grid that have the least Huber loss, for each row of errors.

    Each round minimises over all three a quadratic that lies above the loss and touches it, so the loss never
    rises.

    Args:
        basis: (N / N0)^-c of every point for each rate of the grid.
        errors: of every point.
        spreads: standard deviation of each point.
    """
    weights = np.broadcast_to(1 / spreads**2, errors.shape)
    for _ in range(_ROUNDS + 1):
        a, b, rate = _least_squares(basis, errors, weights)
        apart = np.abs(errors - a[:, None] - b[:, None] * basis[rate]) / spreads
        weights = np.minimum(1.0, _HUBER / np.maximum(apart, 1e-12)) / spreads**2
    return a, b, rate


def _law(
    objective: str,
    sizes: Float64[np.ndarray, " i"],
    errors: Float64[np.ndarray, "i k"],
    shifts: Float64[np.ndarray, "r i"],
) -> Law:
    middle = float(np.exp(np.log(sizes).mean()))
    which, seeds = np.nonzero(np.isfinite(errors))
    basis = (sizes[which] / middle) ** -RATES[:, None]
    spreads = np.sqrt(np.maximum(seed_spread(errors).variance, _LEAST**2))[which]
    points = errors[which, seeds]
    a, b, rate = fit(basis, np.concatenate([points[None], points + shifts[:, which]]), spreads)
    samples = np.stack([a, b, RATES[rate]], axis=1)
    first = [float(one) for one in samples[0]]
    return Law(objective, first[0], first[1], first[2], middle, samples[1:])


def _least_squares(
    basis: Float64[np.ndarray, "c m"],
    errors: Float64[np.ndarray, "r m"],
    weights: Float64[np.ndarray, "r m"],
) -> tuple[Float64[np.ndarray, " r"], Float64[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """The best a, b >= 0 at each rate, in closed form, and the best rate."""
    w, wz, wzz = weights.sum(1)[:, None], weights @ basis.T, weights @ (basis**2).T
    we, wze = (weights * errors).sum(1)[:, None], (weights * errors) @ basis.T
    b = (w * wze - wz * we) / np.maximum(w * wzz - wz**2, 1e-300)
    a = (we - b * wz) / w
    b = np.where(a < 0, wze / wzz, b)  # the minimum lies on the bound that is crossed
    a = np.where(b < 0, we / w, np.maximum(a, 0))
    b = np.maximum(b, 0)
    loss = a * (a * w - 2 * we) + b * (b * wzz - 2 * wze) + 2 * a * b * wz
    rate = loss.argmin(1)
    rows = np.arange(len(errors))
    return a[rows, rate], b[rows, rate], rate


def _seed_draws(
    errors: Float64[np.ndarray, "i k"],
    multiples: Float64[np.ndarray, "r i i k"],
    share: Float64[np.ndarray, " r"],
) -> Float64[np.ndarray, "r i"]:
    """What seeds could have done to the mean of each size."""
    spread, apart = seed_spread(errors), np.nan_to_num(deviations(errors))
    weights = np.where(np.eye(len(errors), dtype=bool), spread.own[:, None], spread.others[:, None])
    counts = np.isfinite(errors).sum(1)
    moved = np.einsum("rijk,ij,jk->ri", multiples, np.sqrt(weights), apart) / np.sqrt(counts)
    free = float((counts - 1).sum())
    return moved * np.sqrt(free / (2 * special.gammaincinv(free / 2, share)))[:, None]


def _example_draws(grid: Grid, generator: np.random.Generator, draws: int) -> Float64[np.ndarray, "r a i"]:
    """What the choice of examples could have done to the means over seeds, all arms and sizes together."""
    arms, sizes, seeds = grid.values.shape
    flat = grid.covariance.reshape(arms * sizes, seeds, arms * sizes, seeds)
    present = np.isfinite(grid.values).reshape(arms * sizes, seeds)
    shared = examples_covariance(flat, present, grid.floor)
    values, vectors = np.linalg.eigh(shared)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return (generator.standard_normal((draws, arms * sizes)) @ root.T).reshape(draws, arms, sizes)
