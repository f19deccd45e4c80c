"""Room for one more shard: who has not been opened for the longest time is removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sightword.pairs.remote.locks import if_free, locked

_SECONDS = 120.0  # making room takes moments


@dataclass(frozen=True, order=True)
class _File:
    used: int  # nanoseconds, when it was last opened or written to
    path: Path
    size: int  # bytes that it takes or will take


def make_room(mine: Path, size: int, bound: int, lock_of: Callable[[str], Path]) -> None:
    """Remove the copies that were used longest ago until all are within `bound` bytes.

    What others fetch just now is left, so the bound may be passed for a while when it is very small.

    Args:
        mine: a file of the folder that stays.
        size: bytes that it has or will have.
        bound: bytes of all copies in its folder.
        lock_of: the lock of a shard, by its key.

    Raises:
        OSError: the folder cannot be written.
    """
    with locked(lock_of("room"), _SECONDS):
        files = sorted(file for file in _files(mine.parent) if file.path != mine)
        total = size + sum(file.size for file in files)
        for file in files:
            if total <= bound:
                break
            if _removed(file.path, lock_of):
                total -= file.size


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _files(folder: Path) -> Iterator[_File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith((".tar", ".part")):
                continue
            size = entry.name.split(".")[1:-1]
            try:
                found = entry.stat()
            except FileNotFoundError:  # removed or renamed just now
                continue
            # A part is counted with all that it will be: several processes fetch at once.
            yield _File(found.st_mtime_ns, Path(entry.path), int(size[0]) if size else found.st_size)


def _removed(path: Path, lock_of: Callable[[str], Path]) -> bool:
    with if_free(lock_of(path.name.partition(".")[0])) as free:
        if free:
            path.unlink(missing_ok=True)
        return free
