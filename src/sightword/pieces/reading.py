"""Puts tensors together from the pieces that files hold, and reads parts of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sightword.errors import SightwordError
from sightword.pieces.index import FILE, Entry, Piece, read_index

MODEL = "model/"  # before the names of a model's tensors in a run's checkpoint


def newest_model(run: Path) -> dict[str, Tensor]:
    """The model's tensors in the newest checkpoint of a run, by their names in the model, on the CPU.

    Raises:
        SightwordError: when there is none, or it is not whole.
    """
    saved = sorted(run.glob(f"checkpoints/step-*/{FILE}"))
    if not saved:
        raise SightwordError(f"'{run}' holds no checkpoint; give a run that has saved, or a file")
    folder = saved[-1].parent
    own = {name.removeprefix(MODEL): e for name, e in read_index(folder).items() if name.startswith(MODEL)}
    return read_whole(folder, own)


@contextmanager
def opened(file: Path) -> Iterator[Any]:
    """A safetensors file, open for reading parts of it.

    Raises:
        SightwordError: when it cannot be read, or holds something else than was asked of it.
    """
    try:
        with safe_open(file, "pt") as found:
            yield found
    except (OSError, SafetensorError) as error:
        raise SightwordError(
            f"'{file}' cannot be read: {error}; remove {file.parent} to go on from the one before it"
        ) from error


def read_whole(folder: Path, entries: Mapping[str, Entry]) -> dict[str, Tensor]:
    """Tensors of a checkpoint, each in one piece, on the CPU.

    Args:
        folder: the checkpoint's.
        entries: what is wanted, under any names.

    Raises:
        SightwordError: when a file does not hold what the index says.
    """
    whole = {name: torch.empty(entry.shape, dtype=entry.dtype) for name, entry in entries.items()}
    wanted: dict[str, list[tuple[str, Piece]]] = defaultdict(list)
    for name, entry in entries.items():
        for piece in entry.pieces:
            wanted[piece.file].append((name, piece))
    for file_name, pieces in wanted.items():
        with opened(folder / file_name) as file:
            for name, piece in pieces:
                place = tuple(slice(o, o + n) for o, n in zip(piece.offsets, piece.sizes, strict=True))
                whole[name][place] = box(file, piece, entries[name], [0] * len(place), piece.sizes)
    return whole


def box(file: Any, piece: Piece, entry: Entry, offsets: Sequence[int], lengths: Sequence[int]) -> Tensor:
    """A part of a piece, counted from the piece's own beginning."""
    found = file.get_slice(piece.key)
    if tuple(found.get_shape()) != piece.sizes:
        raise SafetensorError(f"{piece.key!r} is {found.get_shape()} there, {list(piece.sizes)} in the index")
    if tuple(lengths) == piece.sizes:
        value = file.get_tensor(piece.key)
    else:
        value = found[tuple(slice(o, o + n) for o, n in zip(offsets, lengths, strict=True))]
    if value.dtype != entry.dtype:
        raise SafetensorError(f"{piece.key!r} is {value.dtype} there, {entry.dtype} in the index")
    tensor: Tensor = value
    return tensor
