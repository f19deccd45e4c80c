"""Where a user's own objectives and recipes lie: the directories that `SIGHTWORD_PATH` names.

Each may hold the folders `objectives/` and `recipes/`, whose modules then belong to the packages
`sightword.objectives` and `sightword.recipes`. Nothing is imported here.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import MutableSequence
from pathlib import Path
from types import ModuleType

from sightword.errors import SightwordError

VARIABLE = "SIGHTWORD_PATH"


def modules(package: str, path: MutableSequence[str]) -> dict[str, Path]:
    """The modules of a package, its own first, then those of the user's folders.

    Args:
        package: its last name, which is also the name of a user's folder: `objectives` or `recipes`.
        path: the package's `__path__`; the user's folders are put behind its first entry.

    Raises:
        SightwordError: when `SIGHTWORD_PATH` names no directory, or one module's name is taken twice.
    """
    path[1:] = [str(folder) for folder in _folders(package)]
    found: dict[str, Path] = {}
    for file in (file for folder in path for file in sorted(Path(folder).glob("*.py"))):
        if file.name.startswith("_"):
            continue
        if file.stem in found:
            raise SightwordError(f"'{file}' has the name of '{found[file.stem]}'; rename one of the two")
        found[file.stem] = file
    return found


def load(package: str, name: str, file: Path) -> ModuleType:
    """Import one of `modules`.

    Raises:
        SightwordError: when the file cannot be imported.
    """
    whole = f"{package}.{name}"
    loaded = sys.modules.get(whole)
    if loaded is not None and Path(str(loaded.__file__)) != file:
        del sys.modules[whole]  # SIGHTWORD_PATH has changed since
    importlib.invalidate_caches()
    try:
        return importlib.import_module(whole)
    except (ImportError, SyntaxError) as error:
        raise SightwordError(f"'{file}' cannot be imported: {error}") from error


def _folders(package: str) -> list[Path]:
    listed = [Path(entry).expanduser() for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
    for folder in listed:
        if not folder.is_dir():
            raise SightwordError(f"{VARIABLE} names '{folder}', which is no directory; correct or unset it")
    return [folder / package for folder in listed if (folder / package).is_dir()]
