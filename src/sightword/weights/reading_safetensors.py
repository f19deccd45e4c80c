"""Safetensors files: the library checks every offset against the file before a tensor is made."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sightword.errors import SightwordError

SUFFIX = ".safetensors"
_PREFIX = 9  # bytes: the length of the header, and the brace that it begins with


def is_safetensors(file: Path) -> bool:
    """Whether a file calls itself one, or begins as one; files of caches have no suffix."""
    with file.open("rb") as opened:
        start = opened.read(_PREFIX)
    header = int.from_bytes(start[:-1], "little")
    return file.suffix == SUFFIX or (start[-1:] == b"{" and _PREFIX <= header < file.stat().st_size)


def read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Its tensors and its metadata.

    Raises:
        SightwordError: when it is damaged or cut short.
    """
    try:
        with safe_open(file, "pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118  no mapping
    except (OSError, SafetensorError, ValueError, RuntimeError, AttributeError) as error:
        said = str(error).strip().split("\n")[0][:200]
        raise SightwordError(f"'{file}' is no whole safetensors file ({said}); fetch it again") from error
