"""What a published corpus's folder must tell, and how its pictures are looked up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from sightword.errors import SightwordError
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import Row

TRAIN = "train"  # the `split` of every pair of a corpus that is all for training
_SHOWN = 6  # names of a folder's content in an error


@dataclass(frozen=True)
class Found:
    """A corpus that was found in a folder.

    Args:
        rows: its pairs, in the same order each time.
        watched: the files and folders whose change calls for a new list.
    """

    rows: Callable[[Wanted], Iterator[Row]]
    watched: Sequence[Path]


FindIn: TypeAlias = Callable[[Path, Path], Found]  # the corpus's folder, and where its pictures' paths start


@final
class PictureFiles:
    """Which picture files are there. Each folder is listed once: millions of single looks take far longer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, set[str]] = {}

    def path(self, name: str) -> str | None:
        """The path of a picture called `name` below the root; None when it is not there, or not below it."""
        folder, _, file = name.rpartition("/")
        names = self._names.get(folder)
        if names is None:
            names = self._names[folder] = self._listed(folder)
        return os.path.join(self.root, folder, file) if file in names else None

    def _listed(self, folder: str) -> set[str]:
        if folder.startswith("/") or ".." in folder.split("/"):
            return set()  # a stranger's list must not lead to files of the user's
        try:
            return set(os.listdir(self.root / folder))
        except OSError:
            return set()


def existing(folder: Path, *names: str) -> Path | None:
    """The first of these files, or patterns of file names, that a folder holds."""
    found = (path for name in names for path in sorted(folder.glob(name)) if path.is_file())
    return next(found, None)


def folders_in(folder: Path) -> list[Path]:
    """A folder and those right inside of it, as far as they are there."""
    return [folder, *sorted(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []


def unlike(corpus: str, folder: Path, wanted: str) -> SightwordError:
    """The error for a folder in which a corpus was not found.

    Args:
        corpus: what the user asked for.
        folder: where.
        wanted: which files were looked for.
    """
    if any(folder.glob("*.tar")):
        return SightwordError(
            f"'{folder}' holds tars, as img2dataset writes them: they need no layout, use --data '{folder}'"
        )
    names = sorted(os.listdir(folder))
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    holds = f"it holds {', '.join(names[:_SHOWN])}{more}" if names else "it is empty"
    return SightwordError(f"'{folder}' does not look like {corpus}: looked for {wanted}; {holds}")
