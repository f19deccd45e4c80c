"""Taking stock of a source: which pictures there are, and how to tell whether one has changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.joined import JoinedPairs
from sightword.pairs.lists.bar import counted
from sightword.pairs.lists.listed import ListedPairs
from sightword.pairs.reading import Reading
from sightword.pairs.remote.stores import is_address
from sightword.pairs.sources import open_pairs

_TABLES = ("image_key", "caption_key", "separator", "image_root")  # of `Reading`: what an index remembers
_LAYOUT = re.compile(r"[a-z0-9]+:")  # coco:DIR


@dataclass(frozen=True, eq=False)
class Stock:
    """The pictures of a source; each list has one entry for each pair, in order.

    keys: names, each once: one that comes again gets `~1`, `~2`.
    paths: where a picture is a file of its own; "" where it is not.
    captions: the first caption of each, or nothing.
    stamps: size and time of a file; "" where only the picture's bytes can tell whether it has changed.
    """

    pairs: Pairs
    keys: list[str]
    paths: list[str]
    captions: list[str]
    stamps: list[str]

    def __len__(self) -> int:
        return len(self.keys)


def take_stock(data: str, split: str, reading: Reading) -> Stock:
    """What there is, with a bar where that takes long; nothing is decoded.

    Raises:
        SightwordError: as `open_pairs`.
    """
    pairs = open_pairs(data, split, reading)
    stock = Stock(pairs, [], [], [], [])
    name = Names()
    for text, path in counted(zip(pairs.texts(), _paths(pairs), strict=True), len(pairs), data):
        stock.keys.append(name(text.key))
        stock.paths.append(_told(path))
        stock.captions.append(_told(text.caption))
        stock.stamps.append(_stamp(path))
    return stock


@final
class Names:
    """Gives each picture a name that no other has: a key that comes again gets `~1`, `~2`."""

    def __init__(self) -> None:
        self._given = dict[str, int]()  # and how often it was asked for

    def __call__(self, key: str) -> str:
        """The name of the next picture."""
        name = own = _told(key)
        while name in self._given:  # a key may itself end as if it came again
            name = f"{own}~{self._given[own]}"
            self._given[own] += 1
        self._given[name] = 1
        return name


def places(pairs: Pairs, data: str) -> dict[str, int]:
    """Where each picture of a source stands, by its name; `data` is said beside a bar."""
    name = Names()
    return {name(text.key): number for number, text in enumerate(counted(pairs.texts(), len(pairs), data))}


def settled(data: str) -> str:
    """A source's name that means the same in whatever folder one is."""
    return "::".join(_settled(part.strip()) for part in data.split("::"))


def remembered(reading: Reading) -> dict[str, str]:
    """What of the reading decides which pictures there are."""
    return {name: str(getattr(reading, name)) for name in _TABLES}


def reading_of(said: dict[str, str]) -> Reading:
    """The reading that was remembered; pictures without captions are wanted as well.

    Raises:
        SightwordError: it says something else.
    """
    if set(said) != set(_TABLES):
        raise SightwordError(f"an index remembers {', '.join(_TABLES)}; found {', '.join(said) or 'nothing'}")
    return Reading(captionless=True, **said)  # type: ignore[arg-type]


def fingerprint(data: bytes) -> str:
    """Of a picture's bytes."""
    return "#" + hashlib.blake2b(data, digest_size=16).hexdigest()


def _settled(part: str) -> str:
    if part == "demo" or is_address(part) or (_LAYOUT.match(part) and not Path(part).exists()):
        return part
    return os.path.abspath(os.path.expanduser(part))


def _paths(pairs: Pairs) -> Iterator[str]:
    """The file of each picture, "" where it is part of another file."""
    if isinstance(pairs, JoinedPairs):
        for source in pairs.sources:
            yield from _paths(source)
    elif isinstance(pairs, ListedPairs):
        yield from (pairs.file(i) or "" for i in range(len(pairs)))
    else:
        yield from repeat("", len(pairs))


def _stamp(path: str) -> str:
    """A file that is not there has none: reading it will say so."""
    try:
        found = os.stat(path) if path else None
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}" if found else ""


def _told(text: str) -> str:
    """As UTF-8 can say it: names of files need not be text."""
    return text.encode(errors="replace").decode()
