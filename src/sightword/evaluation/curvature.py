"""Coordinates in which a logistic regression's objective is nearly round, so that few steps end its search.

Parameters are one row for each class and one column for each axis of the features, the bias last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

Parameters = Float64[Tensor, "p r"]
WORTH = 100  # a factorisation that costs less than some twenty evaluations saves more than those


@runtime_checkable
class Coordinates(Protocol):
    """Linear coordinates of the parameters."""

    def of(self, theta: Parameters) -> Float64[Tensor, " k"]:
        """Where parameters lie."""

    def at(self, place: Float64[Tensor, " k"]) -> Parameters:
        """The parameters at a place."""

    def slope(self, gradient: Parameters) -> Float64[Tensor, " k"]:
        """The gradient in these coordinates, from that by the parameters."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """Each axis on its own, multiplied by the root of the curvature when all classes are equally likely.

    scale: one over that root, of each axis.
    """

    scale: Float64[Tensor, " r"]
    classes: int

    def of(self, theta: Parameters) -> Float64[Tensor, " k"]:
        return (theta / self.scale).view(-1)

    def at(self, place: Float64[Tensor, " k"]) -> Parameters:
        return place.view(self.classes, -1) * self.scale

    def slope(self, gradient: Parameters) -> Float64[Tensor, " k"]:
        return (gradient * self.scale).view(-1)


@dataclass(frozen=True, eq=False)
class Whitened:
    """All axes of all classes together, by a Cholesky factor of the curvature."""

    factor: Float64[Tensor, "k k"]
    classes: int

    def of(self, theta: Parameters) -> Float64[Tensor, " k"]:
        return self.factor.T @ theta.reshape(-1)

    def at(self, place: Float64[Tensor, " k"]) -> Parameters:
        theta = torch.linalg.solve_triangular(self.factor.T, place[:, None], upper=True)
        return theta.view(self.classes, -1)

    def slope(self, gradient: Parameters) -> Float64[Tensor, " k"]:
        return torch.linalg.solve_triangular(self.factor, gradient.reshape(-1, 1), upper=False)[:, 0]


def scaled(variance: Float64[Tensor, " r"], classes: int, penalty: float) -> Scaled:
    """Coordinates from the features' variances alone; the bias, whose feature is 1, comes last."""
    alike = (1 - 1 / classes) / classes
    curved = alike * variance
    curved[:-1] += penalty
    return Scaled(curved.clamp(min=1e-300).rsqrt(), classes)


def whitened(
    rows: Float32[Tensor, "m r"],
    likely: Float32[Tensor, "p m"],
    variance: Float64[Tensor, " r"],
    penalty: float,
) -> Whitened:
    """Coordinates from the curvature (the Hessian) that a sample of the examples gives.

    The objective does not change when all biases move together, and only by the penalty when the weights of
    all classes do; there is nothing to find there, and these directions are made as stiff as the others.

    Args:
        rows: the sample's features, on axes that are uncorrelated over all examples; a 1 comes last.
        likely: the probability of each class for each of the sample.
        variance: of each axis over all examples.
        penalty: the curvature that it adds to all but the bias.
    """
    classes, axes = len(likely), rows.shape[1]
    curved = torch.zeros(classes, axes, classes, axes, dtype=torch.float64)
    for i in range(classes):
        for j in range(i + 1):
            weight = likely[i] * (float(i == j) - likely[j])
            curved[i, :, j] = curved[j, :, i] = (rows.T * weight @ rows).double() / len(rows)
    curved += (torch.diag(variance) / classes**2)[None, :, None, :]
    own = torch.full((classes, axes), penalty, dtype=torch.float64)
    own[:, -1] = 0.0
    flat = curved.view(classes * axes, classes * axes)
    flat.diagonal().add_(own.view(-1)).add_(1e-7 * variance.max())  # float32 products may round below zero
    return Whitened(torch.linalg.cholesky(flat), classes)


def worth_whitening(examples: int, parameters: int) -> bool:
    """Whether factorising the curvature costs less than it saves in evaluations over the examples."""
    return parameters**2 <= WORTH * examples
