"""All pairs of hashes that differ in a few bits, among millions, without comparing each with each."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from jaxtyping import Int64, UInt64

from sightword.corpora.fingerprints import MOST_COARSE, differing

_BLOCKS = (11, 11, 11, 11, 10, 10)  # bits: 64 in all
_FURTHEST = 128  # places in a sorted table over which hashes of equal blocks are compared


def near_pairs(
    hashes: UInt64[np.ndarray, " n"], most: int = MOST_COARSE
) -> tuple[Int64[np.ndarray, "m 2"], int]:
    """Pairs (i, j), i < j, of hashes that differ in at most `most` bits, each once, in order.

    Of six blocks of bits, three differing bits leave three blocks untouched: so whoever is near agrees in
    three whole blocks, and one of the 20 choices of three brings both together when the hashes are sorted by
    these blocks first (Manku, Jain and Das Sarma 2007, "Detecting near-duplicates for web crawling"). Memory
    is a few numbers a hash, time 20 sorts. Where more than 128 agree in three blocks not all are compared.

    Returns:
        the pairs, shape (m, 2); and how many hashes had more such neighbours than were compared.
    """
    assert 0 <= most <= 3, "six blocks find up to three bits"
    found = [np.zeros((0, 2), dtype=np.int64)]
    crowded = np.zeros(len(hashes), dtype=np.bool_)
    for chosen in combinations(range(len(_BLOCKS)), len(_BLOCKS) - 3):
        turned, bits = _blocks_first(hashes, chosen)
        order = np.argsort(turned, kind="stable")
        ranked, heads = turned[order], turned[order] >> np.uint64(64 - bits)
        places = np.arange(len(hashes) - 1, dtype=np.int64) if len(hashes) else np.zeros(0, dtype=np.int64)
        for step in range(1, _FURTHEST + 1):
            places = places[places + step < len(hashes)]
            places = places[heads[places] == heads[places + step]]
            if not len(places):
                break
            near = places[differing(ranked[places], ranked[places + step]) <= most]
            found.append(np.sort(np.stack([order[near], order[near + step]], axis=1), axis=1))
        crowded[order[places]] = True
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs.astype(np.int64), int(crowded.sum())


def _blocks_first(
    hashes: UInt64[np.ndarray, " n"], chosen: tuple[int, ...]
) -> tuple[UInt64[np.ndarray, " n"], int]:
    """The same hashes with the chosen blocks as their highest bits, and how many bits these are."""
    others = [block for block in range(len(_BLOCKS)) if block not in chosen]
    starts = np.cumsum((0, *_BLOCKS))
    turned = np.zeros_like(hashes)
    for block in [*chosen, *others]:
        size = np.uint64(_BLOCKS[block])
        mask = (np.uint64(1) << size) - np.uint64(1)
        turned = turned << size | hashes >> np.uint64(starts[block]) & mask
    return turned, sum(_BLOCKS[block] for block in chosen)
