"""Parts of the data: what training never sees, and nested subsets of what it may see.

Which pairs are held out depends on nothing but the data and how many they are: they are the same for every
seed, size and objective. Of all other pairs a run sees the first `samples` of a permutation keyed by its
seed, so smaller subsets lie within larger ones of the same seed. Nothing is listed but what is chosen, or
what is left out where that is less.
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Int64, UInt64

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.order import permuted
from sightword.pairs.part import Part
from sightword.randomness import stream

_VERSION = 1  # of how parts are drawn


def part_of(pairs: Pairs, out: int, samples: int, seed: int) -> Pairs:
    """What a run trains on: all pairs but those held out, or some of these.

    Args:
        pairs: all there are; of sources that `::` joined, both choices are drawn over the whole.
        out: pairs to hold out, as `held_out` takes them.
        samples: pairs that are kept of all others; 0: all.
        seed: of the run; decides which these are.

    Raises:
        SightwordError: there are fewer than that, or a number is negative.
    """
    if samples < 0:
        raise SightwordError(f"data.samples is {samples:,}; give how many pairs to train on, 0 for all")
    aside = held_out(pairs, out)
    left = len(pairs) - len(aside)
    if samples > left:
        beside = f" beside the {len(aside):,} that are held out" if len(aside) else ""
        raise SightwordError(
            f"data.samples asks for {samples:,} pairs, and there are {left:,}{beside}; give {left} or less,"
            " or 0 for all of them"
        )
    if samples in (0, left) and not len(aside):
        return pairs
    told = f"{samples or left:,} of {len(pairs):,} pairs are trained on; {len(aside):,} are held out"
    chosen = f"{_VERSION} without {_digest(aside)}"
    if samples in (0, left):
        return Part(pairs, aside, False, chosen, told)
    chosen += f" first {samples} of {seed}"
    if 2 * samples <= left:
        return Part(pairs, _beside(aside, _drawn(left, 0, samples, seed)), True, chosen, told)
    others = _beside(aside, _drawn(left, samples, left, seed))
    return Part(pairs, np.union1d(aside, others), False, chosen, told)


def held_out(pairs: Pairs, count: int) -> Int64[np.ndarray, " m"]:
    """The pairs that are kept away from training.

    Pairs that are known to show one picture (`Pairs.same_pictures`) are held out together or not at all:
    pictures are drawn, and those that still fit into `count` are taken, so it can be a few pairs less.

    Args:
        pairs: all there are.
        count: of pairs.

    Returns:
        their ids, ascending.

    Raises:
        SightwordError: nothing would be left to train on, or nothing can be held out.
    """
    if count < 0:
        raise SightwordError(f"data.held_out is {count:,}; give how many pairs to hold out, 0 for none")
    if count >= len(pairs) > 0:
        raise SightwordError(
            f"data.held_out asks for {count:,} pairs, and there are {len(pairs):,}, of which training needs"
            f" some; give {len(pairs) // 10} or less"
        )
    of = _numbered(pairs.same_pictures()) if count else None
    if of is None:
        keys = _keys("held out", len(pairs), count=count)
        return np.sort(permuted(np.arange(count), np.full(count, len(pairs)), keys))
    sizes = np.bincount(of)
    keys = _keys("held out", len(sizes), count=len(sizes))
    drawn = permuted(np.arange(len(sizes)), np.full(len(sizes), len(sizes)), keys)
    taken = drawn[_fitting(sizes[drawn], count)]
    if not len(taken):
        raise SightwordError(
            f"data.held_out asks for {count:,} pairs, and every picture comes in {sizes.min():,} or more, of"
            f" which none may be trained on; give {sizes.min()} or more"
        )
    return np.flatnonzero(np.isin(of, taken)).astype(np.int64)


def held_out_part(pairs: Pairs, count: int) -> Part:
    """The held-out pairs as a source; errors as `held_out`."""
    ids = held_out(pairs, count)
    return Part(pairs, ids, True, f"{_VERSION} only {_digest(ids)}")


def _fitting(sizes: Int64[np.ndarray, " n"], room: int) -> Int64[np.ndarray, " m"]:
    """Places of what is taken when whatever still fits is taken in turn."""
    taken = list[int]()
    for place, size in enumerate(sizes.tolist()):
        if size <= room:
            taken.append(place)
            room -= size
        if not room:
            break
    return np.array(taken, dtype=np.int64)


def _drawn(size: int, start: int, stop: int, seed: int) -> Int64[np.ndarray, " m"]:
    """What a permutation of range(size) has at these places, ascending."""
    count = stop - start
    places = np.arange(start, stop)
    return np.sort(permuted(places, np.full(count, size), _keys("samples", seed, count=count)))


def _beside(out: Int64[np.ndarray, " m"], numbers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """The ids of pairs that are numbered without those in `out`."""
    shifts = out - np.arange(len(out))
    found: Int64[np.ndarray, " n"] = numbers + np.searchsorted(shifts, numbers, side="right")
    return found


def _keys(*purpose: object, count: int) -> UInt64[np.ndarray, " n"]:
    return np.full(count, stream("parts", *purpose), dtype=np.uint64)


def _numbered(same: UInt64[np.ndarray, " n"] | None) -> Int64[np.ndarray, " n"] | None:
    """Pictures numbered from 0 as they first come; None where each pair has its own.

    Marks say where pictures lie: only which of them are equal may decide, or a moved folder would hold out
    other pictures.
    """
    if same is None:
        return None
    _, first, of = np.unique(same, return_index=True, return_inverse=True)
    if len(first) == len(same):
        return None
    numbers = np.empty(len(first), dtype=np.int64)
    numbers[np.argsort(first, kind="stable")] = np.arange(len(first))
    found: Int64[np.ndarray, " n"] = numbers[of]
    return found


def _digest(ids: Int64[np.ndarray, " m"]) -> str:
    return hashlib.blake2b(ids.astype("<i8").tobytes(), digest_size=16).hexdigest()
