"""Packages that only some launchers need."""

from __future__ import annotations

import importlib
from typing import Any

from sightword.errors import SightwordError


def package(name: str, extra: str) -> Any:
    """A package of an optional extra.

    Raises:
        SightwordError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SightwordError(
            f"--launcher {extra} needs the package {name}, which is not installed;"
            f" run: pip install 'sightword[{extra}]'"
        ) from error
