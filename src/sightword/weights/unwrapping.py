"""From what a file holds to a state dict: checkpoints unwrapped, prefixes off, plain values kept."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sightword.errors import SightwordError

Tensors = Mapping[str, Tensor]
_WEIGHTS = ("state_dict", "model_state_dict", "model", "module")
_AVERAGES = ("state_dict_ema", "model_ema", "ema")
_DEEPEST = 4  # dictionaries within each other
_PREFIXES = ("module.", "_orig_mod.")  # of parallel and of compiled modules
_LONGEST = 100  # of a list, and of a table of plain values; longer ones are no settings


def unwrapped(found: object, where: str) -> tuple[dict[str, Tensor], dict[str, Any], tuple[str, ...]]:
    """The state dict in a checkpoint, the plain values around it, and what must be told.

    Raises:
        SightwordError: when there is no state dict, naming what there is.
    """
    about, notes = dict[str, Any](), list[str]()
    for _ in range(_DEEPEST):
        if not isinstance(found, Mapping):
            break
        tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
        inner = next((name for name in (*_WEIGHTS, *_AVERAGES) if isinstance(found.get(name), Mapping)), None)
        about |= _plain_values(found)
        if inner is None:
            if not tensors:
                break
            return without_prefixes(tensors), about, tuple(notes)
        notes += _averages(inner, found)
        found = found[inner]
    held = ", ".join(sorted(map(str, found))[:5]) if isinstance(found, Mapping) else type(found).__name__
    raise SightwordError(
        f"'{where}' holds no state dict, but {held or 'nothing'}; save the model's state_dict() alone"
    )


def without_prefixes(tensors: Tensors) -> dict[str, Tensor]:
    """Names as the model itself has them, without what parallel and compiled modules put in front of all."""
    names = list(tensors)
    while prefix := next((p for p in _PREFIXES if names and all(n.startswith(p) for n in names)), ""):
        names = [name.removeprefix(prefix) for name in names]
    return dict(zip(names, tensors.values(), strict=True))


def _averages(taken: str, found: Mapping[str, Any]) -> list[str]:
    beside = [name for name in _AVERAGES if name in found and name != taken]
    if taken in _AVERAGES:
        return [f"the weights are an average over training ({taken}); there are no others in the file"]
    return [f"an average over training ({name}) lies beside the weights; not used" for name in beside]


def _plain_values(found: Mapping[Any, Any]) -> dict[str, Any]:
    """Numbers, texts, short lists of them, and tables of these one level down (SLIP's `args`)."""
    about = dict[str, Any]()
    for name, value in found.items():
        table = vars(value) if isinstance(value, Namespace) else value
        if _is_plain(value):
            about[str(name)] = value
        elif isinstance(table, Mapping) and len(table) <= _LONGEST:
            inside = {str(k): v for k, v in table.items() if _is_plain(v)}
            about |= {str(name): inside} if inside else {}
    return about


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= _LONGEST and all(_is_scalar(one) for one in value)
    return _is_scalar(value)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
