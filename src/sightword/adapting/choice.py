"""Which mixture of the weights before and after is taken: the validation pairs and the reference decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightword.statistics import Interval

RULE = (
    "of those whose loss on the reference is not shown to exceed the tolerance, the one that is best on the"
    " validation pairs; of equal ones the nearest to the weights before"
)


@dataclass(frozen=True)
class Point:
    """A mixture: `alpha` of the adapted weights.

    own: retrieval among the validation pairs, and how much of it was gained over alpha 0.
    reference: the mean over the reference's sets, and how much of it was gained.
    All are fractions with 95 % intervals; gains are paired.
    """

    alpha: float
    own: Interval
    own_gain: Interval
    reference: Interval
    reference_gain: Interval

    def allowed(self, tolerance: float) -> bool:
        """Whether the reference is not shown to lose more: its interval reaches up to -tolerance."""
        return self.reference_gain.high >= -tolerance


def choose(points: Sequence[Point], tolerance: float) -> Point:
    """The mixture to take; that of alpha 0 is allowed whatever the tolerance.

    Args:
        points: one of them at alpha 0.
        tolerance: of the reference score, a fraction.
    """
    allowed = [point for point in points if point.alpha == 0 or point.allowed(tolerance)]
    return max(allowed, key=lambda point: (point.own.value, -point.alpha))
