"""Which mixture of the weights before and after is taken: the validation pairs and the reference decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightword.statistics import Interval

RULE = (
    "of those that lose no more than the tolerance in the mean over the reference's sets, and are not shown"
    " to lose more on any single one of them, the one that is best on the validation pairs; of equal ones the"
    " nearest to the weights before"
)


@dataclass(frozen=True)
class Point:
    """A mixture: `alpha` of the adapted weights.

    own: retrieval among the validation pairs, and how much of it was gained over alpha 0.
    reference: the mean over the reference's sets, and how much of it was gained.
    worst_gain: what was gained on the set that is most surely lost on, whose name is `worst`: that of the
        lowest upper end.
    All are fractions with 95 % intervals; gains are paired.
    """

    alpha: float
    own: Interval
    own_gain: Interval
    reference: Interval
    reference_gain: Interval
    worst_gain: Interval
    worst: str

    def allowed(self, tolerance: float) -> bool:
        """Whether the mean over the reference lost no more, and no set of it is shown to have lost more.

        The mean is judged by its value: a wide interval, of a small reference, must not let more pass. A
        single set is judged by its interval: of many some fall by chance.
        """
        if self.alpha == 0:
            return True
        return self.reference_gain.value >= -tolerance and self.worst_gain.high >= -tolerance


def choose(points: Sequence[Point], tolerance: float) -> Point:
    """The mixture to take; that of alpha 0 is allowed whatever the tolerance.

    Args:
        points: one of them at alpha 0.
        tolerance: of the reference score, a fraction.
    """
    allowed = [point for point in points if point.allowed(tolerance)]
    return max(allowed, key=lambda point: (point.own.value, -point.alpha))
