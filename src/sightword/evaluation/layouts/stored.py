"""Arrays as publishers store them: mapped into memory, or unpacked once, when first asked for."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar, final

import numpy as np
from jaxtyping import Int64, Integer, UInt8

from sightword.errors import SightwordError

T = TypeVar("T")
BROKEN = (OSError, EOFError, zlib.error)  # what reading a damaged file raises
_CHUNK = 1 << 24
_LONG = 1 << 27  # bytes whose unpacking takes long enough to be told


@final
class Once(Generic[T]):
    """A value that is made when first asked for, once, however many threads ask."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._lock = make, Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
        return self._made[0]


def broken(path: Path, found: str, wanted: str) -> SightwordError:
    """The error for a file that is not as its publisher shipped it."""
    return SightwordError(f"'{path}' {found}; wanted {wanted}; get it again")


def find_file(root: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that lies in a folder, as it is or with `.gz`."""
    paths = (root / f"{name}{suffix}" for name in names for suffix in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def the_file(root: Path, *names: str) -> Path:
    """The same.

    Raises:
        SightwordError: when there is none.
    """
    found = find_file(root, names)
    if found is None:
        raise SightwordError(f"'{root}' lacks {' or '.join(names)}; put it there, beside the other files")
    return found


def head(path: Path, count: int) -> bytes:
    """The first bytes of a file, unpacked if it ends in `.gz`.

    Raises:
        SightwordError: when there are fewer.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            found = file.read(count)
    except BROKEN as error:
        raise broken(path, f"cannot be read ({error})", "a whole file") from error
    if len(found) < count:
        raise broken(path, f"is cut short: {len(found):,} bytes", f"a header of {count:,}")
    return found


def stored(path: Path, skip: int, dtype: Any, shape: tuple[int, ...]) -> Once[np.ndarray]:
    """An array in a file, read-only: mapped, or of a `.gz` unpacked into memory.

    Args:
        path: the file.
        skip: bytes before the array.
        dtype: of its values.
        shape: of the array.

    Raises:
        SightwordError: when the file has another length; for a `.gz` only once it is unpacked.
    """
    kind = np.dtype(dtype)
    if path.suffix == ".gz":
        return Once(lambda: _unpacked(path, skip, kind, shape))
    found, wanted = path.stat().st_size, skip + prod(shape) * kind.itemsize
    if found != wanted:
        raise broken(path, f"has {found:,} bytes", f"{wanted:,} for {shape[0]:,} entries")
    if not wanted - skip:
        return Once(lambda: np.empty(shape, kind))  # nothing cannot be mapped
    return Once(lambda: np.memmap(path, kind, "r", skip, shape))


def _unpacked(path: Path, skip: int, kind: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    wanted = prod(shape) * kind.itemsize
    if wanted > _LONG:
        print(f"unpacking '{path}', {wanted / 1e6:,.0f} MB, into memory", file=sys.stderr)
    made = np.empty(wanted, dtype=np.uint8)
    done = 0
    try:
        with gzip.open(path) as file:
            file.read(skip)
            while data := file.read(_CHUNK):
                fits = data[: wanted - done]
                made[done : done + len(fits)] = np.frombuffer(fits, dtype=np.uint8)
                done += len(data)
    except BROKEN as error:
        raise broken(path, f"cannot be unpacked ({error})", "a whole file") from error
    if done != wanted:
        raise broken(path, f"unpacks to {skip + done:,} bytes", f"{skip + wanted:,} for {shape[0]:,} entries")
    return made.view(kind).reshape(shape)


def checked(labels: Integer[np.ndarray, " n"], classes: int, path: Path) -> Int64[np.ndarray, " n"]:
    """Labels, once each is known to be a class.

    Raises:
        SightwordError: when one is not.
    """
    found = labels.astype(np.int64)
    wrong = np.flatnonzero((found < 0) | (found >= classes))
    if wrong.size:
        what = f"says class {found[wrong[0]]} of picture {wrong[0]} (counted from 0)"
        raise broken(path, what, f"0 to {classes - 1} after the publisher's numbers are mapped")
    return found


def numbered(count: int) -> tuple[str, ...]:
    """Keys for pictures that have no names."""
    return tuple(f"{i:06d}" for i in range(count))


def as_rgb(gray: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """A gray picture with three equal channels."""
    return np.repeat(np.asarray(gray)[:, :, None], 3, axis=2)
