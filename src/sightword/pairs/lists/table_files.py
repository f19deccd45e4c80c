"""The files of a table, and whether its pictures are where it says."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from sightword.errors import SightwordError
from sightword.pairs.lists.listed import ListedPairs
from sightword.pairs.reading import Reading
from sightword.pairs.tars.places import expand

_FIRST = 100  # pictures of which one at least should be there


def table_files(part: str, suffixes: tuple[str, ...]) -> list[Path] | None:
    """The files that a path or a pattern names, in order; None when they are of another kind.

    Raises:
        SightwordError: a file of a `{0..9}` is missing, or nothing matches.
    """
    part = os.path.expanduser(part)
    if os.path.exists(part):
        return [Path(part)] if os.path.isfile(part) and part.lower().endswith(suffixes) else None
    if "://" in part or not part.lower().endswith(suffixes):
        return None
    if "{" in part:
        named = [Path(name) for name in expand(part)]
        missing = [path for path in named if not path.is_file()]
        if missing:
            raise SightwordError(
                f"{len(missing):,} of the {len(named):,} files of '{part}' are missing, first '{missing[0]}'"
            )
        return named
    if glob.has_magic(part):
        found = sorted(Path(name) for name in glob.glob(part, recursive=True))
        if not found:
            raise SightwordError(f"no file matches '{part}'; check the pattern")
        return found
    return None


def check_there(pairs: ListedPairs, reading: Reading) -> None:
    """See that some picture is where the table says.

    Raises:
        SightwordError: of the first hundred pictures none is there.
    """
    path = pairs.none_there(_FIRST)
    if not path:
        return
    few = min(_FIRST, len(pairs))
    start = f"'{reading.image_root}'" if reading.image_root else "the table's own folder"
    raise SightwordError(
        f"none of the first {few} pictures of '{pairs.name}' is there, first '{path}'; relative paths start"
        f" from {start}: give another with --image-root FOLDER"
    )
