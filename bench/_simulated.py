"""Simulated studies whose truth is known: families of curves, seeds' noise, shared examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from sightword.study.analysis.points import Point, mean_influences

Curve = Callable[[np.ndarray], np.ndarray]
ARMS = ("clip", "clip + simclr")
_FINE = 400  # places at which a gain's sign is looked up
# Of an answer's variance: the example's difficulty, and what it has with an arm, with a size, with a run.
_SHARES = (0.55, 0.15, 0.10, 0.20)


@dataclass(frozen=True)
class Truth:
    """What a simulated study is drawn from.

    accuracies: of the two arms, over size. sizes, seeds, examples: of the study.
    noise: standard deviation over seeds of the difference, at each size. together: its correlation between
        sizes of one seed.
    """

    accuracies: tuple[Curve, Curve]
    sizes: np.ndarray
    seeds: int
    examples: int
    noise: np.ndarray
    together: float

    def gain(self, sizes: np.ndarray) -> np.ndarray:
        """The true gain."""
        first, second = self.accuracies
        return second(sizes) - first(sizes)

    def crossings(self) -> list[float]:
        """Sizes at which the gain changes its sign, one decade beyond the sizes included."""
        x = np.linspace(np.log10(self.sizes[0]) - 1, np.log10(self.sizes[-1]) + 1, _FINE)
        gain = self.gain(10**x)
        at = np.flatnonzero(np.sign(gain[:-1]) * np.sign(gain[1:]) < 0)
        share = gain[at] / (gain[at] - gain[at + 1])
        return (10 ** (x[at] + share * (x[at + 1] - x[at]))).tolist()


def law(a: float, b: float, c: float) -> Curve:
    """Accuracy under a saturating power law of the error, b in units of a thousand samples."""
    return lambda sizes: 1 - a - b * (sizes / 1e3) ** -c


def crossing_laws(random: np.random.Generator, first: float, at: float) -> tuple[Curve, Curve] | None:
    """Two laws; the second is better at size `first` by two to eight points and crosses at size `at`."""
    a, c = random.uniform(0.05, 0.35), random.uniform(0.15, 0.6)
    b = random.uniform(0.75, 0.95) - a
    slower, ahead = c * random.uniform(0.4, 0.9), random.uniform(0.02, 0.08)
    known = np.array([[1, (size / 1e3) ** -slower] for size in (first, at)])
    errors = [a + b * (size / 1e3) ** -c for size in (first, at)]
    a2, b2 = np.linalg.solve(known, [errors[0] - ahead, errors[1]])
    return (law(a, b, c), law(a2, b2, slower)) if a2 >= 0 and b2 > 0 else None


def inside(random: np.random.Generator, sizes: np.ndarray) -> tuple[Curve, Curve] | None:
    """Power laws that cross between the sizes."""
    return crossing_laws(random, sizes[0], sizes[0] * (sizes[-1] / sizes[0]) ** random.uniform(0.2, 0.95))


def beyond(random: np.random.Generator, sizes: np.ndarray) -> tuple[Curve, Curve] | None:
    """Power laws that cross beyond the sizes, within 0.1 to 0.9 of a decade."""
    return crossing_laws(random, sizes[0], sizes[-1] * 10 ** random.uniform(0.1, 0.9))


def shrinking(random: np.random.Generator, sizes: np.ndarray) -> tuple[Curve, Curve]:
    """Power laws whose gain shrinks for ever and never turns."""
    a, b, c = random.uniform(0.05, 0.35), random.uniform(0.4, 0.6), random.uniform(0.15, 0.6)
    return law(a, b, c), law(a, b * random.uniform(0.85, 0.95), c)


def lasting(random: np.random.Generator, sizes: np.ndarray) -> tuple[Curve, Curve]:
    """Power laws whose gain lasts."""
    a, b, c = random.uniform(0.1, 0.35), random.uniform(0.4, 0.6), random.uniform(0.15, 0.6)
    return law(a, b, c), law(a - random.uniform(0.01, 0.06), b * random.uniform(0.97, 1), c)


def equal(random: np.random.Generator, sizes: np.ndarray) -> tuple[Curve, Curve]:
    """The same law twice: no gain anywhere."""
    one = law(random.uniform(0.05, 0.35), random.uniform(0.4, 0.6), random.uniform(0.15, 0.6))
    return one, one


def logistic(random: np.random.Generator, sizes: np.ndarray) -> tuple[Curve, Curve]:
    """Accuracies that are logistic in log size: the second learns from fewer and ends lower."""
    middle = np.log10(sizes[[0, -1]]).mean() + random.uniform(-0.5, 0.5)
    top, rate, ahead = random.uniform(0.6, 0.85), random.uniform(1.5, 3.0), random.uniform(0.1, 0.3)
    lower = top - random.uniform(0.02, 0.08)

    def rising(height: float, at: float) -> Curve:
        return lambda some: height / (1 + np.exp(-rate * (np.log10(some) - at)))

    return rising(top, middle), rising(lower, middle - ahead)


def hump(random: np.random.Generator, sizes: np.ndarray) -> tuple[Curve, Curve]:
    """A gain that rises, falls and turns, as no difference of two laws does."""
    one = law(random.uniform(0.05, 0.35), random.uniform(0.4, 0.55), random.uniform(0.15, 0.6))
    x = np.log10(sizes[0]) + random.uniform(0, 0.8)
    height, width, floor = random.uniform(0.04, 0.12), random.uniform(0.7, 1.2), random.uniform(0.2, 0.4)

    def other(some: np.ndarray) -> np.ndarray:
        return one(some) + height * (np.exp(-(((np.log10(some) - x) / width) ** 2) / 2) - floor)

    return one, other


FAMILIES = {one.__name__: one for one in (inside, beyond, shrinking, lasting, equal, logistic, hump)}
# The same curves under seeds that the method takes to be otherwise.
UNEVEN, NESTED = "inside, seeds three times as noisy at the smallest size", "inside, seeds alike at all sizes"
ALL = (*FAMILIES, UNEVEN, NESTED)
_CROSSES = {"inside", "beyond", "logistic", "hump"}


def truth(random: np.random.Generator, family: str, seeds: int) -> Truth:
    """One of a family: four or five sizes over two decades, little or much noise, few or many examples."""
    sizes = np.round(np.geomspace(1e3, 1e5, int(random.integers(4, 6))))
    name = family.partition(",")[0]
    level = np.exp(random.uniform(np.log(0.002), np.log(0.015)))
    noise = np.full(len(sizes), level)
    if family == UNEVEN:
        noise = level * np.geomspace(np.sqrt(3), 1 / np.sqrt(3), len(sizes))
    while True:
        curves = FAMILIES[name](random, sizes)
        if curves is None:
            continue
        found = Truth(curves, sizes, seeds, int(random.choice([400, 2000])), noise, 0.5 * (family == NESTED))
        if len(found.crossings()) == (name in _CROSSES) and _sound(found):
            return found


def _sound(found: Truth) -> bool:
    """Whether every run's accuracy is one."""
    values = np.concatenate([curve(found.sizes) for curve in found.accuracies])
    return bool(values.min() > 0.02 and values.max() < 0.98)


def study(random: np.random.Generator, found: Truth) -> list[Point]:
    """The points of one study: each answer is right where a normal draw, shared in parts, is low enough."""
    size_count, n = len(found.sizes), found.examples
    accuracy = np.stack([curve(found.sizes) for curve in found.accuracies])[:, :, None]
    shape = (2, size_count, found.seeds)
    kept, own = random.standard_normal((2, 1, found.seeds)), random.standard_normal(shape)
    moves = np.sqrt(found.together) * kept + np.sqrt(1 - found.together) * own
    both = 0.005 * random.standard_normal((1, *shape[1:]))
    accuracy = np.clip(accuracy + both + found.noise[None, :, None] / np.sqrt(2) * moves, 1e-3, 1 - 1e-3)
    parts = [(1, 1, 1, n), (2, 1, 1, n), (1, size_count, 1, n), (*shape, n)]
    drawn = sum(
        np.sqrt(share) * random.standard_normal(part, dtype=np.float32)
        for share, part in zip(_SHARES, parts, strict=True)
    )
    right = drawn < ndtri(accuracy)[..., None].astype(np.float32)
    return [
        Point(
            *(ARMS[a], int(found.sizes[i]), k, "samples", "vit-tiny", "simulated", "zeroshot", "acc1"),
            *(float(right[a, i, k].mean()), n, mean_influences(right[a, i, k])),
        )
        for a, i, k in np.ndindex(shape)
    ]
