"""The demo's pairs, which come with the package: emoji drawn by six artists, 64 pixels."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

from sightword.errors import SightwordError
from sightword.pairs.files import cache_dir, write_to_cache

PACKAGED = "demo_emoji_64.tar.gz"
SHA256 = "c336bb4eb01fcd1a5b76e5e46d498456e607d649fd006d6909fe5afe42748843"  # of the unpacked tar


def demo_tar() -> Path:
    """The demo's tar, unpacked into the cache folder if it is not there whole.

    Raises:
        SightwordError: the cache folder cannot be written, or the packaged file is damaged.
    """
    name = f"demo_emoji_64-{SHA256[:12]}.tar"
    path = cache_dir() / name
    if _sha256(path) == SHA256:
        return path
    with as_file(files("sightword") / "data" / PACKAGED) as packed, gzip.open(packed) as content:
        path = write_to_cache(name, lambda file: shutil.copyfileobj(content, file, 1 << 20))
    if _sha256(path) != SHA256:
        path.unlink()
        raise SightwordError(f"the packaged demo data ({PACKAGED}) is damaged; install sightword again")
    return path


def is_packaged(path: Path) -> bool:
    """Whether this is the packaged demo file itself."""
    with as_file(files("sightword") / "data" / PACKAGED) as packed:
        return packed.exists() and path.samefile(packed)


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    about = path.stat()
    return _read_sha256(path, about.st_size, about.st_mtime_ns, about.st_ino)


@lru_cache(4)
def _read_sha256(path: Path, *unchanged: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
