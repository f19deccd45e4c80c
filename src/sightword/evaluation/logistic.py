"""Multinomial logistic regression with an L2 penalty, at its optimum, fast.

The objective is scikit-learn's, `sum of losses * C + |W|^2 / 2` with a free bias, divided by `C n`. It is
convex, so how it is minimised does not matter; L-BFGS does it in coordinates in which it is nearly round:
features are rotated to the axes of their covariance, and each axis is scaled by the root of the curvature
that it has when all classes are equally likely. Of many examples and few parameters a sample gives the whole
curvature, and the search begins where the sample's own ends. Products are float32, sums and steps float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from scipy.optimize import minimize
from torch import Tensor

from sightword.evaluation.curvature import Coordinates, Parameters, scaled, whitened, worth_whitening
from sightword.randomness import stream, uniform

ROWS = 8192  # worked on at a time, which bounds memory and stays in caches
SAMPLE = 4096  # examples whose curvature stands for that of all
BEGUN = 1e-3  # how near to its own optimum a sample is brought, where all then begin
ITERATIONS = 1000
SMALL = 50_000_000  # products of an evaluation, below which one thread is faster than several
RANK = 1e-10  # axes with less of the largest variance are not there


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier: `features @ weight + bias` are logits of the classes in `present`.

    left: the largest entry of the gradient where the search ended, in its own round coordinates.
    """

    weight: Float64[Tensor, "d p"]
    bias: Float64[Tensor, " p"]
    present: Int64[np.ndarray, " p"]
    left: float

    def scores(
        self,
        features: Float32[np.ndarray, "m d"],
        classes: int,
        offset: Float[Tensor, "m p"] | None = None,
    ) -> Float[Tensor, "m c"]:
        """Log-probabilities, float64; minus infinity for classes that are not present.

        `offset` is added to the logits, where it was in learning.
        """
        out = torch.full((len(features), classes), -torch.inf, dtype=torch.float64)
        for rows in torch.arange(len(features)).split(ROWS):
            logits = torch.from_numpy(features[rows.numpy()]).double() @ self.weight + self.bias
            logits += 0.0 if offset is None else offset[rows]
            out[rows[:, None], torch.from_numpy(self.present)] = logits.log_softmax(dim=1)
        return out


class Logistic:
    """One set of examples, fitted with one strength after another, each from where the last one ended."""

    def __init__(
        self,
        features: Float32[np.ndarray, "n d"],
        labels: Int64[np.ndarray, " n"],
        offset: Float[Tensor, "n c"] | None = None,
    ) -> None:
        """Take the examples.

        Args:
            features: one row for each.
            labels: class ids. Classes that do not occur are never predicted, unless there is an offset.
            offset: logits of every class that another classifier gives: what is learned is added to them, so
                that with little to learn from it stays near them.
        """
        self.present, own = np.unique(labels, return_inverse=True)
        if offset is not None:
            self.present, own = np.arange(offset.shape[1]), labels
        self._mean, self._spread = moments(features)
        self._axes, variance = self._rotation(features)
        self._variance = torch.cat([variance, variance.new_ones(1)])
        axes = self._axes.float()
        rotated = torch.cat([self._standard(part).float() @ axes for part in parts(features)])
        self._examples = _Examples(
            rotated, torch.from_numpy(own), None if offset is None else offset.float().T.contiguous()
        )
        self._start = torch.zeros(len(self.present), len(self._variance), dtype=torch.float64)

    def fit(self, strength: float, tolerance: float = 1e-5) -> Fitted:
        """Minimise.

        Args:
            strength: scikit-learn's C.
            tolerance: the largest entry of the gradient at which the search ends, in coordinates in which the
                objective lies at most half the gradient's square above its minimum, or nearly so.
        """
        with _threads_for(len(self._examples) * self._start.numel()):
            left = self._search(strength, tolerance)
        weight = (self._axes @ self._start[:, :-1].T) / self._spread[:, None]
        return Fitted(weight, self._start[:, -1] - self._mean @ weight, self.present, left)

    def _search(self, strength: float, tolerance: float) -> float:
        """Move from the start to the optimum; gives the largest entry of the gradient that is left."""
        examples, penalty = self._examples, 1 / (strength * len(self._examples))
        round_ = scaled(self._variance, len(self.present), penalty)
        if not worth_whitening(len(examples), self._start.numel()):
            self._start, left = _minimum(examples, self._start, round_, penalty, tolerance)
            return left
        sample = examples.some(SAMPLE)
        if not self._start.any():
            few = 1 / (strength * len(sample))
            few_round = scaled(self._variance, len(self.present), few)
            self._start, _ = _minimum(sample, self._start, few_round, few, BEGUN)
        by_sample = whitened(sample.padded(), sample.likely(self._start), self._variance, penalty)
        self._start, left = _minimum(examples, self._start, by_sample, penalty, tolerance)
        return left

    def _rotation(
        self, features: Float32[np.ndarray, "n d"]
    ) -> tuple[Float64[Tensor, "d r"], Float64[Tensor, " r"]]:
        """The axes of the standardised features' covariance, and the variance along each."""
        if len(features) < features.shape[1]:
            _, roots, axes = torch.linalg.svd(self._standard(features), full_matrices=False)
            variance, axes = roots.square() / len(features), axes.T
        else:
            total = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
            for part in parts(features):
                x = self._standard(part).float()
                total += x.T @ x
            variance, axes = torch.linalg.eigh(total / len(features))
        there = variance > RANK * variance.max()
        return axes[:, there].contiguous(), variance[there]

    def _standard(self, features: Float32[np.ndarray, "m d"]) -> Float64[Tensor, "m d"]:
        return (torch.from_numpy(features).double() - self._mean) / self._spread


@dataclass(frozen=True, eq=False)
class _Examples:
    """What is learned from: features on their axes, labels, and what is added to the logits of each class."""

    rows: Float32[Tensor, "n r"]
    labels: Int64[Tensor, " n"]
    offset: Float32[Tensor, "p n"] | None

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, most: int) -> _Examples:
        """A sample, the same each time; in order, so that classes lie as they do in all."""
        if len(self) <= most:
            return self
        drawn = uniform(0, stream("curvature"), np.arange(len(self)), 0, 1)[:, 0]
        mine = torch.from_numpy(np.sort(np.argsort(drawn, kind="stable")[:most]))
        return _Examples(
            self.rows[mine], self.labels[mine], None if self.offset is None else self.offset[:, mine]
        )

    def padded(self) -> Float32[Tensor, "n r1"]:
        """The features and a 1, which is the bias' own."""
        return torch.cat([self.rows, self.rows.new_ones(len(self), 1)], dim=1)

    def likely(self, theta: Parameters, part: slice = slice(None)) -> Float32[Tensor, "p m"]:
        """The probability of each class, for a part of the examples."""
        return self.logs(theta, part).exp_()

    def logs(self, theta: Parameters, part: slice) -> Float32[Tensor, "p m"]:
        """The same as a logarithm. Classes are rows: sums over few neighbours in memory are slow."""
        weight, bias = theta[:, :-1].float(), theta[:, -1:].float()
        logits = torch.addmm(bias, weight, self.rows[part].T)
        return (logits if self.offset is None else logits + self.offset[:, part]).log_softmax(dim=0)

    def objective(self, theta: Parameters, penalty: float) -> tuple[float, Parameters]:
        """The mean loss with its penalty, and the gradient by the parameters."""
        loss, slope = 0.0, torch.zeros_like(theta)
        for start in range(0, len(self), ROWS):
            part = slice(start, start + ROWS)
            logs, own = self.logs(theta, part), self.labels[None, part]
            loss -= float(logs.gather(0, own).sum(dtype=torch.float64))
            wrong = logs.exp_().scatter_add_(0, own, logs.new_full(own.shape, -1.0))
            slope[:, :-1] += wrong @ self.rows[part]
            slope[:, -1] += wrong.sum(dim=1, dtype=torch.float64)
        slope /= len(self)
        slope[:, :-1] += penalty * theta[:, :-1]
        return loss / len(self) + penalty / 2 * float(theta[:, :-1].square().sum()), slope


def _minimum(
    examples: _Examples, start: Parameters, coordinates: Coordinates, penalty: float, tolerance: float
) -> tuple[Parameters, float]:
    """The best parameters, searched from `start`, and the largest entry of the gradient there."""

    def objective(place: Float64[np.ndarray, " k"]) -> tuple[float, Any]:
        value, slope = examples.objective(coordinates.at(torch.from_numpy(place)), penalty)
        return value, coordinates.slope(slope).numpy()

    found = minimize(
        objective,
        coordinates.of(start).numpy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "gtol": tolerance, "ftol": 1e-9},
    )
    return coordinates.at(torch.from_numpy(found.x)), float(np.abs(found.jac).max())


def parts(features: Float32[np.ndarray, "n d"]) -> list[Float32[np.ndarray, "m d"]]:
    """The rows, as many at a time as are worked on."""
    return [features[start : start + ROWS] for start in range(0, len(features), ROWS)]


def moments(features: Float32[np.ndarray, "n d"]) -> tuple[Float64[Tensor, " d"], Float64[Tensor, " d"]]:
    """Mean and standard deviation of each feature, over the examples; 1 where a feature never varies."""
    mean = torch.from_numpy(features.mean(axis=0, dtype=np.float64))
    squares = sum((torch.from_numpy(part).double() - mean).square().sum(dim=0) for part in parts(features))
    spread = torch.as_tensor(squares).div(len(features)).sqrt()
    spread[spread <= 1e-12 * mean.abs()] = 1.0
    return mean, torch.where(spread == 0, 1.0, spread)


@contextmanager
def _threads_for(products: int) -> Iterator[None]:
    """One thread for small matrices: hundreds of evaluations would wait for each other's threads instead."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if products < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
