"""Multinomial logistic regression with an L2 penalty, at its optimum, fast.

The objective is scikit-learn's, `sum of losses * C + |W|^2 / 2` with a free bias, divided by `C n`. It is
convex, so how it is minimised does not matter; L-BFGS does it in coordinates in which it is nearly round:
features are rotated to the axes of their covariance, and each axis is scaled by the root of the curvature
that it has when all classes are equally likely. Products are float32, sums and steps float64.
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

ROWS = 65_536  # worked on at a time, which bounds memory
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
        self._labels, self._offset = torch.from_numpy(own), offset
        self._mean, self._spread = moments(features)
        self._axes, self._variance = self._rotation(features)
        axes = self._axes.float()
        self._rotated = torch.cat([self._standard(part).float() @ axes for part in self._parts(features)])
        self._start = torch.zeros(len(self._variance) + 1, len(self.present), dtype=torch.float64)

    def fit(self, strength: float, tolerance: float = 1e-5) -> Fitted:
        """Minimise.

        Args:
            strength: scikit-learn's C.
            tolerance: the largest entry of the gradient at which the search ends, in coordinates in which the
                objective lies at most half the gradient's square above its minimum, or nearly so.
        """
        penalty, scale = 1 / (strength * len(self._labels)), self._scale(strength)
        with _threads_for(len(self._labels) * self._start.numel()):
            found = minimize(
                lambda at: self._objective(torch.from_numpy(at).view(self._start.shape), scale, penalty),
                (self._start / scale).view(-1).numpy(),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "gtol": tolerance, "ftol": 1e-9},
            )
        self._start = scale * torch.from_numpy(found.x).view(self._start.shape)
        weight = (self._axes @ self._start[:-1]) / self._spread[:, None]
        bias = self._start[-1] - self._mean @ weight
        return Fitted(weight, bias, self.present, float(np.abs(found.jac).max()))

    def _scale(self, strength: float) -> Float64[Tensor, "r 1"]:
        """One over the root of each axis' curvature, the bias last."""
        alike = (1 - 1 / len(self.present)) / len(self.present)
        curved = alike * torch.cat([self._variance, self._variance.new_ones(1)])
        curved[:-1] += 1 / (strength * len(self._labels))
        return curved.clamp(min=1e-300).rsqrt()[:, None]

    def _objective(
        self, at: Float64[Tensor, "r p"], scale: Float64[Tensor, "r 1"], penalty: float
    ) -> tuple[float, Any]:
        theta = scale * at
        weight, bias = theta[:-1].float(), theta[-1].float()
        loss, slope = 0.0, torch.zeros_like(theta)
        for start in range(0, len(self._labels), ROWS):
            part = slice(start, start + ROWS)
            x, y = self._rotated[part], self._labels[part]
            logits = torch.addmm(bias, x, weight)
            logs = (logits if self._offset is None else logits + self._offset[part]).log_softmax(dim=1)
            loss -= float(logs.gather(1, y[:, None]).double().sum())
            wrong = logs.exp_()
            wrong[torch.arange(len(y)), y] -= 1
            slope[:-1] += (x.T @ wrong).double()
            slope[-1] += wrong.double().sum(dim=0)
        slope /= len(self._labels)
        slope[:-1] += penalty * theta[:-1]
        value = loss / len(self._labels) + penalty / 2 * float(theta[:-1].square().sum())
        return value, (scale * slope).view(-1).numpy()

    def _rotation(
        self, features: Float32[np.ndarray, "n d"]
    ) -> tuple[Float64[Tensor, "d r"], Float64[Tensor, " r"]]:
        """The axes of the standardised features' covariance, and the variance along each."""
        if len(features) < features.shape[1]:
            _, roots, axes = torch.linalg.svd(self._standard(features), full_matrices=False)
            variance, axes = roots.square() / len(features), axes.T
        else:
            total = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
            for part in self._parts(features):
                x = self._standard(part).float()
                total += x.T @ x
            variance, axes = torch.linalg.eigh(total / len(features))
        there = variance > RANK * variance.max()
        return axes[:, there].contiguous(), variance[there]

    def _standard(self, features: Float32[np.ndarray, "m d"]) -> Float64[Tensor, "m d"]:
        return (torch.from_numpy(features).double() - self._mean) / self._spread

    @staticmethod
    def _parts(features: Float32[np.ndarray, "n d"]) -> list[Float32[np.ndarray, "m d"]]:
        return [features[start : start + ROWS] for start in range(0, len(features), ROWS)]


def moments(features: Float32[np.ndarray, "n d"]) -> tuple[Float64[Tensor, " d"], Float64[Tensor, " d"]]:
    """Mean and standard deviation of each feature, over the examples; 1 where a feature never varies."""
    mean = torch.from_numpy(features.mean(axis=0, dtype=np.float64))
    parts = [features[start : start + ROWS] for start in range(0, len(features), ROWS)]
    squares = sum((torch.from_numpy(part).double() - mean).square().sum(dim=0) for part in parts)
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
