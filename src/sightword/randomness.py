"""Random numbers as a pure function of what they are for: (seed, purpose, sample, epoch).

Nothing here holds state, so a sample's augmentation, caption or mask does not depend on the number of
workers, ranks or machines, nor on what was drawn before it.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def stream(*purpose: object) -> int:
    """A stable 63-bit number for a purpose, e.g. `stream("mask", masking)`: equal reprs, equal streams."""
    digest = hashlib.blake2b(repr(purpose).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def mix(values: U64) -> U64:
    """The splitmix64 finaliser (Steele, Lea and Flood 2014, figure 18): scrambles 64 bits, a bijection."""
    if not values.ndim:  # of single numbers numpy would say that they overflow, as they should
        return mix(values[None])[0]
    z = values + _GOLDEN
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def uniform(
    seed: int, purpose: int, ids: npt.ArrayLike, epochs: npt.ArrayLike | int, count: int
) -> npt.NDArray[np.float64]:
    """Uniform numbers in [0, 1), one row for each sample.

    Args:
        seed: the run's seed.
        purpose: what they are for, from `stream`.
        ids: global sample ids, shape (b,).
        epochs: the epoch in which each sample is seen, shape (b,) or a scalar.
        count: how many numbers a sample needs.

    Returns:
        float64 of shape (b, count); each row depends on nothing but its own (seed, purpose, id, epoch).
    """
    ids64 = np.asarray(ids).astype(np.uint64)
    epochs64 = np.broadcast_to(np.asarray(epochs).astype(np.uint64), ids64.shape)
    state = mix(np.full(1, seed, dtype=np.int64).astype(np.uint64))
    state = mix(state ^ np.uint64(purpose)).reshape((1,) * ids64.ndim)
    state = mix(mix(state ^ ids64) ^ epochs64)
    counters = np.arange(count, dtype=np.uint64)
    bits = mix(mix(state[..., None] ^ (counters * _GOLDEN)))
    return (bits >> np.uint64(11)).astype(np.float64) * (2.0**-53)
