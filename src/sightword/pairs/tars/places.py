"""From what a user writes after `--data` to the tars that it means."""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.request import url2pathname

from sightword.errors import SightwordError
from sightword.pairs.demo import demo_tar, is_packaged
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.listing import remote_tars
from sightword.pairs.remote.stores import is_address
from sightword.pairs.tars.contents import CORPUS, SIDECAR
from sightword.pairs.tars.tar import compressed

_MOST = 1_000_000  # shards that one pattern may name
_FEW = 256  # files that are looked at one by one
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def tars(where: str, cache: ShardCache | None = None) -> tuple[str | Remote, ...]:
    """The tars of `demo`, `a.tar`, `cc/{00000..01100}.tar`, `cc/*.tar`, a folder, or several joined by `::`.

    Addresses (`https://host/cc/{00000..01100}.tar`, `s3://bucket/cc/*.tar`, `hf://datasets/user/cc/*.tar`)
    are looked up, not fetched.

    Args:
        where: what the user wrote.
        cache: of remote shards, whose patience and journal serve for looking them up; needed for addresses.

    Raises:
        SightwordError: something is missing, compressed or empty; names near to it are suggested.
    """
    return tuple(place for part in where.split("::") for place in _tars_of_part(part.strip(), cache))


def expand(pattern: str) -> Iterator[str]:
    """Braces as shells and webdataset expand them: `{00..11}` counts with leading zeros, `{a,b}` lists."""
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern
        return
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    for choice in _choices(braces[1], pattern):
        yield from expand(f"{before}{choice}{after}")


def _choices(inside: str, pattern: str) -> list[str]:
    counted = _RANGE.fullmatch(inside)
    if counted is None:
        return inside.split(",")
    first, last = int(counted[1]), int(counted[2])
    if not first <= last < first + _MOST:
        raise SightwordError(f"'{{{inside}}}' in '{pattern}' must count up, over at most {_MOST:,} shards")
    return [str(number).zfill(len(counted[1])) for number in range(first, last + 1)]


def _tars_of_part(part: str, cache: ShardCache | None) -> Sequence[str | Remote]:
    if not part:
        raise SightwordError("--data has an empty part; write demo, a tar, shards, a folder, or a::b")
    if part == "demo":
        return [str(demo_tar())]
    if part.startswith("pipe:"):
        raise SightwordError(
            f"'{part}' is a pipe, read once from front to back, and pairs are read by random access; "
            "give the address itself, as https://, s3:// or gs://"
        )
    if part.startswith("file://"):
        part = url2pathname(part.removeprefix("file://"))
    if is_address(part):
        assert cache is not None, "addresses need a cache"
        return remote_tars(list(expand(part)), part, cache)
    part = os.path.expanduser(part)
    if os.path.exists(part):  # also where a name really holds braces or stars
        return _existing(part)
    if "{" in part:
        return _all_there(list(expand(part)), part)
    if glob.has_magic(part):
        found = sorted(glob.glob(part))
        if not found:
            raise SightwordError(f"no file matches '{part}'{_near(Path(part))}")
        return [path for name in found for path in _existing(name)]
    raise SightwordError(f"'{part}' does not exist{_near(Path(part))}")


def _existing(path: str) -> list[str]:
    if os.path.isdir(path):
        folder = os.path.join(path, "")
        found = sorted(folder + name for name in _files(path, ".tar"))
        if not found:
            raise SightwordError(f"the folder '{path}' holds no .tar; {_holds(Path(path))}")
        return found
    if path.endswith((".gz", ".tgz", ".bz2", ".xz", ".zst")):
        if is_packaged(Path(path)):
            return [str(demo_tar())]
        raise SightwordError(compressed(path))
    return [path]


def _all_there(paths: list[str], pattern: str) -> list[str]:
    """Every shard or an error: with some missing, two runs would compare different data unseen."""
    missing = _missing(paths)
    if missing:
        raise SightwordError(
            f"{len(missing):,} of the {len(paths):,} shards of '{pattern}' are missing, "
            f"first '{missing[0]}'{_near(Path(missing[0]))}"
        )
    return [path for name in paths for path in _existing(name)]


def _missing(paths: list[str]) -> list[str]:
    if len(paths) <= _FEW:
        return [path for path in paths if not os.path.isfile(path)]
    folders = {os.path.dirname(path) for path in paths}  # one listing in place of thousands of questions
    there = {folder: set(_files(folder or ".")) for folder in folders if os.path.isdir(folder or ".")}
    return [path for path in paths if os.path.basename(path) not in there.get(os.path.dirname(path), ())]


def _files(folder: str, suffix: str = "") -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.name.endswith(suffix) and entry.is_file()]


def _near(path: Path) -> str:
    """What to say of a path that is not there: near names, or what its folder holds."""
    parent = path.parent
    if not parent.is_dir():
        return f"; the folder '{parent}' does not exist either{_alike(parent)}"
    return _alike(path) or f"; {_holds(parent)}"


def _alike(path: Path) -> str:
    parent = path.parent
    names = _names(parent) if parent.is_dir() else []
    near = [str(parent / name) for name in difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _holds(folder: Path) -> str:
    names = sorted(_names(folder))
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"'{folder}' holds {', '.join(names[:5])}{more}" if names else f"'{folder}' is empty"


def _names(folder: Path) -> list[str]:
    """What lies there, less the indices that we write beside tars."""
    return [entry.name for entry in folder.iterdir() if not entry.name.endswith((SIDECAR, CORPUS))]
