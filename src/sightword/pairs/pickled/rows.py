"""The rows of a `.pkl` or `.npy` file that may come from anyone.

Python's own `pickle` and NumPy's `allow_pickle` do whatever such a file says. Here its operations are read as
data (protocols 0 to 5): only plain values and NumPy's plain arrays can be made, everything else ends the
reading.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sightword.errors import SightwordError
from sightword.pairs.pickled.arrays import Refused
from sightword.pairs.pickled.machine import Machine

_NPY = b"\x93NUMPY"
_DAMAGED = (ValueError, TypeError, LookupError, OverflowError, struct.error, MemoryError)


def stored_rows(path: Path) -> Iterator[Any]:
    """The entries of the list or one-dimensional array that a file holds, one by one.

    Only None, bool, int, float, str, bytes, tuples, lists and dicts come out; NumPy's arrays inside of a row
    come as lists, its scalars as Python's numbers and strings.

    Raises:
        SightwordError: the file wants anything imported or called, is damaged, or holds something else.
    """
    try:
        yield from _rows(path)
    except OSError as error:
        raise SightwordError(f"cannot read '{path}': {error.strerror}; check its name") from error
    except _DAMAGED as error:
        why = str(error) if isinstance(error, Refused) else "it is damaged, or neither a pickle nor a .npy"
        raise SightwordError(
            f"'{path}' is not taken: {why}; wanted: a list of plain values of Python's and NumPy's"
        ) from error


def _rows(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        is_npy = file.read(len(_NPY)) == _NPY
        file.seek(0)
        if is_npy and not _holds_objects(file):
            yield from _plain(path)
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from Machine(data, file.tell()).rows()


def _holds_objects(file: BinaryIO) -> bool:
    """Whether this `.npy` goes on with a pickle, where the file then stands."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return bool(read(file)[2].hasobject)


def _plain(path: Path) -> Iterator[Any]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim != 1:
        raise Refused(f"it holds an array of shape {array.shape}, not a list of rows")
    return (row.item() for row in array)
