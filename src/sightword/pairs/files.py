"""Where derived files may lie, and how they are written so that nobody ever sees half of one."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from sightword.errors import SightwordError

Write = Callable[[BinaryIO], object]  # writes a file's whole content
_ASIDE = ".writing"


def cache_dir() -> Path:
    """The folder for what can be made again: `$SIGHTWORD_CACHE`, else `~/.cache/sightword`."""
    return Path(os.environ.get("SIGHTWORD_CACHE") or Path.home() / ".cache" / "sightword")


def write_whole(path: Path, write: Write) -> None:
    """Write a file aside, sync it, then rename it into place.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `path` is as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_ASIDE, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with suppress(OSError):  # some shared disks have no locks
                fcntl.flock(file, fcntl.LOCK_EX)  # says until the end that somebody writes it, see `sweep`
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(aside, 0o644)  # mkstemp's 0600 would lock out the other users of a shared data folder
            os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Remove what `write_whole` left aside in a folder when it was killed; not what is being written."""
    for left in folder.glob(f".*{_ASIDE}"):
        with suppress(OSError), left.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def write_to_cache(name: str, write: Write) -> Path:
    """`write_whole` into the cache folder; where that fails, the error says how to choose another folder."""
    path = cache_dir() / name
    try:
        write_whole(path, write)
    except OSError as error:
        raise SightwordError(
            f"cannot write '{path}' ({error.strerror}); set SIGHTWORD_CACHE to a folder with free space"
        ) from error
    return path
