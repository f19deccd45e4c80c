"""What an index says of itself: `index.json`, read with care."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.use.index.engine import Kind, Recall

ABOUT = "index.json"
FORMAT = 1


@dataclass(frozen=True)
class File:
    """One of an index's files."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Made:
    """What the last indexing did, by numbers of pictures; `seconds` of it all."""

    new: int
    changed: int
    kept: int
    removed: int
    unreadable: int
    seconds: float


@dataclass(frozen=True)
class About:
    """What `index.json` says.

    kind: flat (every vector is compared) or hnsw; `visited` nodes of it by a search.
    joint: whether the vectors are in the joint space, where sentences are.
    run: where the model lay, `weights_hash` which it was.
    data, split, reading: the source, as `--data` names it, and how tables of it are read.
    """

    format: int
    kind: Kind
    count: int
    width: int
    visited: int
    joint: bool
    run: str
    name: str
    weights_hash: str
    data: str
    split: str
    reading: dict[str, str]
    data_hash: str
    vectors: File
    pictures: File
    recall: Recall
    made: Made
    notes: list[str] = field(default_factory=list)


def read_about(folder: Path) -> About:
    """What an index is, without opening it.

    Raises:
        SightwordError: it is none, or what it says of itself makes no sense.
    """
    file = folder / ABOUT
    if not file.is_file():
        raise SightwordError(
            f"'{folder}' is no index of pictures; make one: sightword index FOLDER --model RUN --out {folder}"
        )
    try:
        about: About = _typed(About, json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(folder, f"{ABOUT} makes no sense ({' '.join(str(error).split())[:120]})") from error
    if about.format != FORMAT:
        raise damaged(folder, f"it is of format {about.format}, and this sightword reads format {FORMAT}")
    return about


def damaged(folder: Path, why: str) -> SightwordError:
    """The error for an index that is not what it was."""
    return SightwordError(f"the index '{folder}' is damaged: {why}; remove it, and make it again")


def _typed(kind: Any, values: Any) -> Any:
    """A dataclass of plain JSON values.

    Raises:
        TypeError, KeyError, ValueError: a value is missing, or of another type.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} wants an object")
    checks: dict[str, Any] = {
        "int": int, "float": (int, float), "str": str, "bool": bool,
        "dict[str, str]": dict, "list[str]": list, "Kind": str,
    }  # fmt: skip
    inner = {"File": File, "Recall": Recall, "Made": Made}
    made = {}
    for one in dataclasses.fields(kind):
        value, wanted = values[one.name], str(one.type)
        if wanted in inner:
            value = _typed(inner[wanted], value)
        elif not isinstance(value, checks[wanted]) or (wanted == "int" and isinstance(value, bool)):
            raise TypeError(f"{one.name} is {value!r}")
        made[one.name] = value
    return _sane(kind(**made))


def _sane(made: Any) -> Any:
    if isinstance(made, About):
        sizes = made.count > 0 and made.width > 0 and 0 <= made.visited < 1 << 20
        if made.kind not in ("flat", "hnsw") or not sizes:
            raise ValueError(f"{made.count} vectors of {made.width} in a {made.kind} index")
        if not all(isinstance(value, str) for value in [*made.reading.values(), *made.notes]):
            raise ValueError("reading and notes are words")
    return made
