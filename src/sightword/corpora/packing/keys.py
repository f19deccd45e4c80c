"""Keys that every reader of tars understands, no two alike, found without holding them in memory."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from jaxtyping import Int64, UInt64

from sightword.pairs.base import Pairs

LONGEST = 80  # characters; the rest is cut off, so that `KEY.json` fits into any file system

_TILDES = re.compile("~{2,}")


def safe(key: str) -> str:
    """A key with nothing in it that ends a key, makes a folder or needs quotes.

    Letters, digits, `_`, `-` and single `~` stay (`~3` ends keys that came again in a list).
    """
    kept = "".join(letter if letter.isalnum() or letter in "_-~" else "_" for letter in key[:LONGEST])
    return _TILDES.sub("~", kept) or "_"


def numbered(key: str, number: int) -> str:
    """The key of a sample whose own is taken. No safe key holds `~~`, so nobody else has this one."""
    return f"{key}~~{number}"


def key_hashes(pairs: Pairs, start: int, stop: int) -> UInt64[np.ndarray, " n"]:
    """A 64-bit hash of the safe key of each pair from `start` to `stop`, shape (stop - start,)."""
    digests = (_hash(safe(pairs.text(number).key)) for number in range(start, stop))
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def later_twins(hashes: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " m"]:
    """Places whose hash has come before, ascending, shape (m,). The first of several keeps its key.

    Needs 16 bytes a key. Of a billion different keys two share a hash in one corpus of forty, and then the
    later one is only given a number that it did not need.
    """
    order = np.argsort(hashes, kind="stable")
    again = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]]) + 1
    return np.sort(order[again]).astype(np.int64)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
