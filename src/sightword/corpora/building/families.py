"""Families of concepts: what is drawn alike or named alike stays on one side of a split.

Several artists draw one concept, and one artist draws it in many styles, skin tones and genders. If some
lay in training and some in testing, a test would ask for what was seen. So names that mean one thing are
tied together, and whole families are dealt out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal, final

import numpy as np

from sightword.corpora import fingerprints
from sightword.corpora.near import near_pairs

Split = Literal["train", "val", "test"]
SHARES: tuple[tuple[Split, float], ...] = (("test", 0.05), ("val", 0.05), ("train", 0.9))


@final
class Families:
    """Names tied together (union-find with path halving); a family is called by its least name."""

    def __init__(self) -> None:
        self._above = dict[str, str]()

    def tie(self, names: Iterable[str]) -> None:
        """These names mean one thing."""
        first = ""
        for name in names:
            root = self.of(name)
            least, other = sorted((first or root, root))
            self._above[other] = least
            first = least

    def of(self, name: str) -> str:
        """The family that a name belongs to; its own where nothing ties it."""
        above = self._above
        above.setdefault(name, name)
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name


def tie_near_copies(families: Families, names: Sequence[str], looks: Sequence[bytes]) -> None:
    """Tie what looks nearly the same, whatever it is called: "aws" and "amazon web services".

    Args:
        families: what is tied already.
        names: of each picture, one that `families` knows.
        looks: of each picture, its row of `fingerprints.ROW`; pictures in which there is nothing to tell
            them by are passed over.
    """
    rows = np.frombuffer(b"".join(looks), fingerprints.ROW)
    places = np.flatnonzero(rows["looks"])
    pairs, _ = near_pairs(rows["coarse"][places])
    pairs = places[pairs]
    for first, second in pairs[fingerprints.agree(rows, pairs, rows)]:
        families.tie((names[first], names[second]))


def split_of(family: str) -> Split:
    """A split by the hash of a family's name: 90 % train, 5 % val, 5 % test, the same on every machine."""
    digest = hashlib.blake2b(f"split {family}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "little") / 2**64
    for split, share in SHARES:
        if place < share:
            return split
        place -= share
    return "train"
