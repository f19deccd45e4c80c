"""JSON of strangers: bounded in size, and whatever is wrong with it is one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError

_MOST = 64 << 20  # bytes; the largest tokenizer.json of published models has half of that


def read_json(file: Path) -> dict[str, Any]:
    """An object of JSON.

    Raises:
        SightwordError: when the file is missing, larger than 64 MiB, or holds anything else.
    """
    try:
        if not file.is_file():
            raise SightwordError(f"'{file}' is missing; fetch it from where the weights came from")
        if file.stat().st_size > _MOST:
            raise SightwordError(f"'{file}' is larger than {_MOST >> 20} MiB, which no configuration is")
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:  # also: not UTF-8, numbers of too many digits
        raise SightwordError(f"'{file}' is not JSON ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise SightwordError(f"'{file}' holds {type(found).__name__}, wanted a JSON object")
    return found


def json_beside(folder: Path | None, name: str) -> dict[str, Any]:
    """The object in a file that may lie beside the weights; {} where it does not.

    Raises:
        SightwordError: when it lies there and cannot be read.
    """
    if folder is None or not (folder / name).is_file():
        return {}
    return read_json(folder / name)
