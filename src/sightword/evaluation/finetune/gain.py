"""What pre-training gained: fine-tuned minus from scratch, over the same pictures and the same seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64

from sightword.statistics import Interval

CELLS = 4_000_000  # numbers drawn at a time: 32 MB


def gain(
    scratch: Bool[np.ndarray, "seeds n"],
    tuned: Bool[np.ndarray, "seeds n"],
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean difference in accuracy, with a percentile interval that resamples both pictures and seeds.

    Pictures and seeds (a subset of the labels, a head, an order) are drawn with replacement, independently of
    each other, and the two answers to a picture under a seed stay together: the pigeonhole bootstrap of two
    crossed factors (Owen 2007, 0712.1111), which errs towards wide intervals. Of s seeds the plain bootstrap
    sees (s - 1) / s of the variance between them, so their part is widened by the square root of s / (s - 1).
    With one seed the interval is over pictures alone.

    Args:
        scratch, tuned: whether a picture was answered rightly, a row for each seed.
        resamples: bootstrap samples.
        confidence: of the interval.
        seed: of the resampling.
    """
    assert scratch.shape == tuned.shape
    differences = tuned.astype(np.float64) - scratch.astype(np.float64)
    value = float(differences.mean())
    means = np.concatenate(list(_resampled(differences, resamples, np.random.default_rng(seed))))
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _resampled(
    differences: Float64[np.ndarray, "seeds n"], resamples: int, generator: np.random.Generator
) -> Iterator[Float64[np.ndarray, " r"]]:
    seeds, n = differences.shape
    wider = (seeds / (seeds - 1)) ** 0.5 if seeds > 1 else 1.0
    chunk = max(1, CELLS // n)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        pictures = generator.multinomial(n, np.full(n, 1 / n), size=size) / n
        runs = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
        runs = 1 / seeds + wider * (runs - 1 / seeds)
        yield np.einsum("rs,sn,rn->r", runs, differences, pictures, optimize=True)
