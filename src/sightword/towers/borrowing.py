"""Libraries that only some towers need: imported when such a tower is asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

from sightword.errors import SightwordError

_SHOWN = 200  # characters of what a library said


def library(name: str, wish: str, extra: str) -> ModuleType:
    """A library of an optional extra.

    Args:
        name: of its module.
        wish: what needs it, as the user said it: `--model timm:...`.
        extra: of this package, to install it by.

    Raises:
        SightwordError: it is not installed, or cannot be imported here: what was found, and what to do.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        cause = _innermost(error)
        said = f"{type(cause).__name__}: {' '.join(str(cause).split())[:_SHOWN]}"
    if said == f"ModuleNotFoundError: No module named '{name}'":
        raise SightwordError(
            f"{wish} needs the package {name}, which is not installed; run: pip install 'sightword[{extra}]'"
        )
    do = f"install what it needs: pip install 'sightword[{extra}]'"
    if "torchvision" in said:
        do = "install the torchvision made for this torch (its version, CPU or CUDA alike), or remove it"
    raise SightwordError(
        f"{wish} needs the package {name}, which is here but cannot be imported ({said}); {do}"
    )


def _innermost(error: BaseException) -> BaseException:
    """The cause to tell: libraries wrap each other's errors."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
