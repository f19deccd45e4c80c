"""What lies where in a checkpoint: of every tensor its shape, its dtype and the pieces that files hold.

As JSON: `{"NAME": {"shape": [..], "dtype": "float32", "pieces": [{"file", "key", "offsets", "sizes"}, ..]}}`.
Pieces tile their tensor as a grid, which is how processes hold parts of it, so it can be read by any number
of other processes. What a file says is checked before anything is made of it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from sightword.errors import SightwordError

FILE = "index.json"
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
        torch.int8, torch.uint8, torch.bool,
    )
}  # fmt: skip
_RANK_FILE = re.compile(r"rank-\d{5,}\.safetensors")


@dataclass(frozen=True)
class Piece:
    """A box of a tensor, kept in a file under a key: where it begins and how long it is in each dimension."""

    file: str
    key: str
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """A tensor and its pieces."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    pieces: tuple[Piece, ...]


def rank_file(rank: int) -> str:
    """The file of the process of this number."""
    return f"rank-{rank:05d}.safetensors"


def is_rank_file(name: str) -> bool:
    """Whether a name is one that `rank_file` gives: of no other folder, and of nothing else in this one."""
    return _RANK_FILE.fullmatch(name) is not None


def to_json(index: Mapping[str, Entry]) -> str:
    """The index as a file's text; names in order, so that equal checkpoints have equal files."""
    rows = {
        name: {
            "shape": entry.shape,
            "dtype": str(entry.dtype).removeprefix("torch."),
            "pieces": [asdict(piece) for piece in entry.pieces],
        }
        for name, entry in sorted(index.items())
    }
    return json.dumps(rows)


def read_index(folder: Path) -> dict[str, Entry]:
    """The index of a checkpoint.

    Raises:
        SightwordError: when it is missing, or says what cannot be: files elsewhere, boxes that do not tile
            their tensor.
    """
    file = folder / FILE
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(rows, dict):
            raise _WrongError("it is no table of tensors")
        return {name: _entry(name, row) for name, row in rows.items()}
    except (OSError, ValueError, RecursionError) as error:
        raise SightwordError(
            f"'{file}' is no index of a checkpoint: {error}; remove {folder} to go on from the one before it"
        ) from error


class _WrongError(ValueError):
    """What an index says cannot be."""


def _entry(name: str, row: Any) -> Entry:
    if not isinstance(row, dict) or set(row) != {"shape", "dtype", "pieces"}:
        raise _WrongError(f"{name!r} has no shape, dtype and pieces")
    if row["dtype"] not in _DTYPES:
        raise _WrongError(f"{name!r} is of dtype {row['dtype']!r}")
    if not isinstance(row["pieces"], list):
        raise _WrongError(f"the pieces of {name!r} are no list")
    shape = _numbers(row["shape"], name)
    pieces = tuple(_piece(name, piece) for piece in row["pieces"])
    if any(len(box.offsets) != len(shape) or len(box.sizes) != len(shape) for box in pieces):
        raise _WrongError(f"a piece of {name!r} has not the dimensions of its shape {list(shape)}")
    if not _tile(shape, [(box.offsets, box.sizes) for box in pieces]):
        raise _WrongError(f"the pieces of {name!r} do not make up its shape {list(shape)}")
    return Entry(shape, _DTYPES[row["dtype"]], pieces)


def _piece(name: str, row: Any) -> Piece:
    if not isinstance(row, dict) or set(row) != {"file", "key", "offsets", "sizes"}:
        raise _WrongError(f"a piece of {name!r} has no file, key, offsets and sizes")
    if not isinstance(row["file"], str) or not is_rank_file(row["file"]):
        raise _WrongError(f"a piece of {name!r} lies in {row['file']!r}, which is no file of a checkpoint")
    if not isinstance(row["key"], str):
        raise _WrongError(f"a piece of {name!r} has the key {row['key']!r}")
    return Piece(row["file"], row["key"], _numbers(row["offsets"], name), _numbers(row["sizes"], name))


def _numbers(row: Any, name: str) -> tuple[int, ...]:
    if not isinstance(row, list) or any(type(n) is not int or not 0 <= n < 2**48 for n in row):
        raise _WrongError(f"{name!r} has the sizes {str(row)[:60]}")
    return tuple(row)


def _tile(shape: Sequence[int], boxes: Sequence[tuple[Sequence[int], Sequence[int]]]) -> bool:
    """Whether boxes of at least one element fill a shape as a grid, each place once."""
    if not shape:
        return len(boxes) == 1
    if not math.prod(shape):
        return not boxes
    end = 0
    firsts = sorted(boxes, key=lambda box: (box[0][0], box[1][0]))
    for (start, size), slab in groupby(firsts, key=lambda box: (box[0][0], box[1][0])):
        if start != end or size < 1 or not _tile(shape[1:], [(o[1:], s[1:]) for o, s in slab]):
            return False
        end = start + size
    return end == shape[0]
