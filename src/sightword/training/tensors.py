"""Tensors of a run's own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sightword.errors import SightwordError


def read_tensors(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Raises:
        SightwordError: when it is missing or damaged.
    """
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise SightwordError(f"'{file}' cannot be read: {error}; restore it, or train again") from error
