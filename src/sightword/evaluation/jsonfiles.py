"""Large files of JSON, with a bar while they are read and while they are parsed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from itertools import count, repeat
from pathlib import Path
from typing import Any

from sightword.evaluation.progress import watched

MIB = 2**20
PIECE = 16 * MIB
EACH = 1000  # objects between two looks at the bar

Shrink = Callable[[dict[str, Any]], Any]


def load_json(path: Path, shrink: Shrink) -> Any:
    """The content of a JSON file.

    Args:
        path: the file; the largest that are known here are of 1 GB.
        shrink: makes less of each object as soon as it is read.

    Raises:
        OSError: when it cannot be read.
        UnicodeDecodeError, json.JSONDecodeError: when it is not JSON.
    """
    text = _text(path)
    # Each object begins with a brace; those inside of words are few.
    steps = watched(repeat(None), max(1, text.count("{")), f"parsing {path.name}, objects", EACH)
    met = count(1)

    def seen(row: dict[str, Any]) -> Any:
        if next(met) % EACH == 0:
            next(steps)
        return shrink(row)

    with closing(steps):
        return json.loads(text, object_hook=seen)


def _text(path: Path) -> str:
    data = bytearray()
    with path.open("rb") as file:
        pieces = iter(lambda: file.read(PIECE), b"")
        total = max(1, -(-path.stat().st_size // MIB))
        for piece in watched(pieces, total, f"reading {path.name}, MiB", PIECE // MIB):
            data += piece
    return data.decode("utf-8")
