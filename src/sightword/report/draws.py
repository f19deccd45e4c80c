"""Which examples are shown: drawn by lot with a fixed seed, never picked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from sightword.randomness import stream, uniform


def draw(purpose: str, among: Sequence[int], most: int) -> list[int]:
    """At most `most` of these row numbers, without replacement; the same for the same purpose and rows."""
    rows = np.asarray(among, dtype=np.int64)
    luck = uniform(0, stream("report", purpose), rows, 0, 1)[:, 0]
    return [int(rows[i]) for i in np.argsort(luck, kind="stable")[:most]]


def in_common(key_lists: Sequence[Sequence[str]]) -> tuple[list[str], list[Int64[np.ndarray, " m"]]]:
    """Keys that every list holds, in the first one's order, and where each list holds them."""
    where = [{key: i for i, key in enumerate(keys)} for keys in key_lists]
    shared = [key for key in key_lists[0] if all(key in places for places in where)] if key_lists else []
    return shared, [np.array([places[key] for key in shared], dtype=np.int64) for places in where]
