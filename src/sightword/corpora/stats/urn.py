"""What a random draw from a corpus holds, computed from how often each caption occurs. Exact, no simulation.

All that is drawn is drawn without replacement, every choice as likely. A random sample of a corpus gives
unbiased answers about the corpus: a batch drawn from a random sample is a random batch of the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from sightword.corpora.stats.record import Curve, SharedCaptions

BATCHES = (256, 1024, 4096)
_POINTS = 24  # of a growth curve


def missed(total: int, drawn: int, copies: Int64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """The chance that none of `copies` things is among `drawn` of `total`: C(total - copies, drawn) /
    C(total, drawn), as a product with a factor for each copy.

    Raises:
        ValueError: more are drawn or looked for than there are.
    """
    most = int(copies.max(initial=0))
    if drawn > total or most > total:
        raise ValueError(f"{drawn} drawn, {most} looked for, of {total}")
    with np.errstate(divide="ignore"):  # the logarithm of 0: it cannot be missed
        steps = np.log1p(-drawn / (total - np.arange(most, dtype=np.float64)).clip(min=drawn))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    return np.exp(logs[copies]).astype(np.float64)


def shared_captions(frequencies: Int64[np.ndarray, " k"], batch: int) -> SharedCaptions:
    """Expected over all batches of distinct pairs.

    Args:
        frequencies: how many pairs have each caption; a pair has one.
        batch: its size; the whole corpus where that is smaller.
    """
    total = int(frequencies.sum())
    size = min(batch, total)
    if size < 2:
        return SharedCaptions(batch, 0.0, 0.0, 0.0, 0.0)
    values, times = np.unique(frequencies, return_counts=True)
    weight = values * times / total  # of pairs whose caption occurs so often
    share = float((weight * (1 - missed(total - 1, size - 1, values - 1))).sum())
    per_pair = float((weight * (values - 1)).sum()) * (size - 1) / (total - 1)
    return SharedCaptions(batch, share * size, share, per_pair * size, per_pair)


def growth(frequencies: Int64[np.ndarray, " k"]) -> Curve:
    """How many distinct things are expected among the first 1, 2, ... n, whichever come first (rarefaction,
    Hurlbert 1971; Heaps' law says it is a power)."""
    total = int(frequencies.sum())
    if not total:
        return Curve((), ())
    values, times = np.unique(frequencies, return_counts=True)
    drawn = _steps(total)
    found = [float((times * (1 - missed(total, count, values))).sum()) for count in drawn]
    return Curve(tuple(float(count) for count in drawn), tuple(found))


def _steps(total: int) -> Sequence[int]:
    """From 1 to `total`, evenly spaced."""
    steps: list[int] = np.unique(np.linspace(1, total, _POINTS).round().astype(np.int64)).tolist()
    return steps
