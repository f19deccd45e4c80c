"""Single seeds as small dots beside the mean over seeds, so that they can be told apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from sightword.report.markup import Markup
from sightword.report.plots import Field, spot
from sightword.study.analysis.grids import Grid

_FIRST, _LAST = 7.0, 16.0  # how far aside they stand, in the figure's units


def seed_dots(
    area: Field, grid: Grid, values: Float64[np.ndarray, "i k"], place: int, write: Callable[[float], str]
) -> list[Markup]:
    """A dot for each size and seed that has a number; none for a single seed, which is the mean itself.

    Args:
        area: where they are drawn.
        grid: whose sizes and seeds they are.
        values: of each size and seed, NaN where missing.
        place: of the arm, for its colour and shape.
        write: a value in digits.
    """
    step = (_LAST - _FIRST) / max(len(grid.seeds) - 1, 1)
    return [
        spot(
            *(area, size, float(values[i, k]), place, f"seed {seed}: {write(float(values[i, k]))}"),
            size=2.0,
            kind="seed",
            aside=_FIRST + step * k,
        )
        for i, size in enumerate(grid.sizes)
        for k, seed in enumerate(grid.seeds)
        if np.isfinite(values[i]).sum() > 1 and np.isfinite(values[i, k])
    ]
