"""Floor 7. Families of concepts: what is drawn alike or named alike stays on one side of a split.

Several artists draw one concept, and one artist draws it in many styles, skin tones and genders. If some
lay in training and some in testing, a test would ask for what was seen. So names that mean one thing are
tied together, and whole families are dealt out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, final

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


def split_of(family: str) -> Split:
    """A split by the hash of a family's name: 90 % train, 5 % val, 5 % test, the same on every machine."""
    digest = hashlib.blake2b(f"split {family}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "little") / 2**64
    for split, share in SHARES:
        if place < share:
            return split
        place -= share
    return "train"
