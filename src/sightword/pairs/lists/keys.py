"""Names of samples: from a picture's path, fit for a tar, none twice."""

from __future__ import annotations

import hashlib
import re
from array import array

import numpy as np
from jaxtyping import Int64

from sightword.pairs.tars.walk import PICTURES

_PLAIN = re.compile(r"[\w ,+=@()-]+(?:/[\w ,+=@()-]+)*")  # nearly all: nothing is wrong with them
_NUMBERED = re.compile(r"~(?=\d+$)")


def key_of(path: str, root: str = "") -> str:
    """A picture's path below `root` without its extension."""
    relative = path.removeprefix(f"{root}/") if root else path
    stem, dot, extension = relative.rpartition(".")
    return stem if dot and extension.lower() in PICTURES else relative


def sound(key: str) -> str:
    """A key that names a file in a tar: relative, going nowhere up, without a dot in its last part.

    A dot would end the key for webdataset. `~3` at the end is kept for keys that come again.
    """
    if _PLAIN.fullmatch(key):
        return key
    text = key.replace("\0", "_").encode(errors="replace").decode()
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    if not parts:
        return "_"
    parts[-1] = parts[-1].replace(".", "_")
    sound = "/".join(parts)
    return _NUMBERED.sub("_", sound) if "~" in sound else sound


class Repeats:
    """Which keys came before: eight bytes a key, so that millions of them fit into memory."""

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, key: str) -> None:
        """The next key."""
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        self._hashes.append(int.from_bytes(digest, "little"))

    def numbers(self) -> Int64[np.ndarray, " n"]:
        """For every key added, how often it came before.

        Keys are told apart by 64 bits of a hash: two that fall together get a number they did not need.
        """
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        ranked = hashes[order]
        first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)])
        starts = np.repeat(first, np.diff(np.append(first, len(ranked))))
        numbers = np.empty(len(hashes), dtype=np.int64)
        numbers[order] = np.arange(len(hashes)) - starts
        return numbers


def numbered(key: str, number: int) -> str:
    """The key of a sample whose key came `number` times before."""
    return f"{key}~{number}" if number else key


def unnumbered(key: str) -> str:
    """The key without the number that it got: no `sound` key ends so by itself."""
    stem, tilde, number = key.rpartition("~")
    return stem if tilde and number.isdecimal() else key
