"""Writing so that a crash leaves the old file or the new one, and a full disk is one clear line."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from sightword.errors import SightwordError
from sightword.pairs.files import sweep, write_whole


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn whatever stops a write into a `SightwordError`."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors has an exception of its own for a full disk
        raise SightwordError(
            f"could not write '{target}': {error}; what was saved before is whole: free some space, then"
            " go on with sightword train --resume"
        ) from error


@contextmanager
def alone_in(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a run's directory, so that no second process trains in it. A kill lets go of it as well.

    Files that a killed process left half written beside their places are removed.

    Args:
        folder: the run's directory.
        patience: seconds to wait for another process that holds it.

    Raises:
        SightwordError: another process holds it.
    """
    handle = os.open(folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o644)
    _held.add(handle)
    try:
        _lock(handle, folder, time.monotonic() + patience)
        sweep(folder)
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def _lock(handle: int, folder: Path, until: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() >= until:
                raise SightwordError(
                    f"another process is training in '{folder}'; wait for it, or stop it first"
                ) from error
        time.sleep(_AGAIN)


_held = set[int]()
_AGAIN = 0.2  # seconds between two tries


def _let_go() -> None:
    """A forked loader does not hold the directory: it would for seconds after its parent was killed."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


def write_text(path: Path, text: str) -> None:
    """Replace a file as a whole.

    Raises:
        SightwordError: when it cannot be written; the old file stays.
    """
    with writing(path):
        write_whole(path, lambda file: file.write(text.encode()))


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, has reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
