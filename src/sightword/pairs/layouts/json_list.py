"""The entries of one JSON list of any size, without holding all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError

_PIECE = 1 << 22  # characters read at a time
_MOST = 1 << 26  # characters of one entry
_BETWEEN = re.compile(r"[\s,]*")


def json_list(file: Path) -> Iterator[Any]:
    """The objects of a file that is one JSON list of objects.

    Raises:
        SightwordError: it is no such list, or damaged.
    """
    decoder = json.JSONDecoder()
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        text = opened.read(_PIECE).lstrip()
        if not text.startswith("["):
            raise _odd(file, "it does not begin with [")
        at = 1
        while True:
            at = _end_of(_BETWEEN.match(text, at), at)
            try:
                if text.startswith("]", at):
                    return
                entry, at = decoder.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                more = opened.read(_PIECE)
                if not more or len(text) - at > _MOST:
                    raise _odd(file, "an entry is not whole") from error
                text, at = text[at:] + more, 0
                continue
            yield entry


def _end_of(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


def _odd(file: Path, why: str) -> SightwordError:
    return SightwordError(f"'{file}' is not one JSON list of objects: {why}; make or download it again")
