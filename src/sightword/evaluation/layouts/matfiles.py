"""Matlab's files up to version 7: numbers and words, never code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card


def variable_of(card: Card, path: Path, name: str) -> np.ndarray:
    """One variable of a file, of any shape, without dimensions of length one.

    Raises:
        SightwordError: when the file is missing, broken, or lacks the variable.
    """
    try:
        found = loadmat(str(path), squeeze_me=True, variable_names=[name])
    except FileNotFoundError as error:
        raise SightwordError(f"{card.title}: '{path}' is missing; get it: {card.get}") from error
    except Exception as error:  # scipy raises whatever a broken byte leads it to
        raise SightwordError(
            f"{card.title}: '{path}' cannot be read ({error}); get it: {card.get}"
        ) from error
    if name not in found:
        raise SightwordError(f"{card.title}: '{path}' has no variable '{name}'; get it again: {card.get}")
    return np.atleast_1d(found[name])


def field_of(card: Card, path: Path, variable: str, field: str) -> list[object]:
    """One field of each entry of a struct array, as plain values.

    Raises:
        SightwordError: when the file, the variable or the field is missing.
    """
    entries = variable_of(card, path, variable)
    if not entries.dtype.names or field not in entries.dtype.names:
        raise SightwordError(f"{card.title}: '{variable}' in '{path}' has no field '{field}'")
    return [
        value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value
        for value in entries[field]
    ]
