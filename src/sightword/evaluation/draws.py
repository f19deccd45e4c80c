"""Numbers that hang on which examples were drawn to learn from, as well as on which were tested."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from scipy import stats

from sightword.evaluation.measures import Measured
from sightword.statistics import share_interval, standard_error


def over_draws(metric: str, right: Bool[np.ndarray, "draws n"], clusters: Sequence[str] = ()) -> Measured:
    """The share that is right, over draws and examples, with an interval that covers both kinds of chance.

    Its squared error is the spread of the draws' shares over their number, and that of the examples' (or
    clusters') over theirs; what the two do together is in both, which widens it a little. The few draws make
    it wider still, by Student's t at Satterthwaite's degrees of freedom (1946) over the normal. The interval
    is Wilson's at the sample size that such an error belongs to.

    Raises:
        ValueError: fewer than two draws.
    """
    draws, n = right.shape
    if draws < 2:
        raise ValueError(f"need at least two draws to know their spread, found {draws}")
    share = float(right.mean())
    named = np.asarray(clusters) if clusters else None
    units = len(set(clusters)) or n
    of_draws = float(right.mean(axis=1).var(ddof=1)) / draws
    apart = (right.mean(axis=0) - share) / n
    of_examples = standard_error(apart, named) ** 2 * units / max(1, units - 1)
    error = float(np.sqrt(of_draws + of_examples))
    if error > 0:
        freedom = error**4 / (of_draws**2 / (draws - 1) + of_examples**2 / max(1, units - 1))
        error *= float(stats.t.isf(0.025, freedom) / stats.norm.isf(0.025))
    method = f"wilson by effective size over draws and {'clusters' if clusters else 'examples'}"
    return Measured(metric, share_interval(share, error, units), n, method)
