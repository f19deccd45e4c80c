"""Small studies drawn from plain formulas, for the tests of the analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sightword.study.analysis.grids import Pairs
from sightword.study.analysis.points import Point, mean_influences

ARMS = ("clip", "clip + simclr")


def point(arm: str, size: int, seed: int, right: np.ndarray, **other: object) -> Point:
    """A point from right and wrong answers."""
    of = (arm, size, seed, "samples", "vit-tiny", "pets", "zeroshot", "acc1", float(right.mean()), len(right))
    return replace(Point(*of, influences=mean_influences(right)), **other)


def drawn(
    accuracy: Callable[[int, int], float],
    sizes: tuple[int, ...] = (1000, 3000, 10_000, 30_000),
    seeds: int = 3,
    n: int = 1000,
    noise: float = 0.004,
    seed: int = 0,
    **other: object,
) -> list[Point]:
    """Both arms' points; `accuracy(arm, size)` is the truth, answers of one example go together."""
    random = np.random.default_rng(seed)
    hard = random.random(n)
    found = []
    for a, size, k in np.ndindex(2, len(sizes), seeds):
        level = accuracy(a, sizes[size]) + noise * random.standard_normal()
        mixed = np.where(random.random(n) < 0.7, hard, random.random(n))
        found.append(point(ARMS[a], sizes[size], k, mixed < level, **other))
    return found


def table_of(differences: np.ndarray, examples: float = 0.0, units: int = 10_000) -> Pairs:
    """Differences whose examples' error is the same for all seeds and apart between sizes."""
    sizes, seeds = differences.shape
    covariance = np.einsum("ij,kl->ikjl", np.eye(sizes), np.ones((seeds, seeds))) * examples**2
    names = tuple(1000 * 10**i for i in range(sizes))
    return Pairs("b", "a", names, differences, covariance, floor=1e-16, units=units)
