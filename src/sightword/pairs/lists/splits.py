"""Splits that the names of files and folders tell of: `train-00000-of-00005.parquet`, `test/`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sightword.errors import SightwordError, unknown

TRAIN = "train"
_KNOWN = frozenset({TRAIN, "test", "val", "valid", "validation", "dev", "eval"})
_NUMBERED = re.compile(r"(.+?)[-_]\d+(-of-\d+)?(-[0-9a-f]+)?")  # the hub's habit


def split_of(relative: str) -> str:
    """The split that a path tells of: its first folder of a usual name, or its file name; "" for none."""
    *folders, name = relative.split("/")
    stem = name.partition(".")[0]
    numbered = _NUMBERED.fullmatch(stem)
    names = [*folders, numbered[1] if numbered else stem]
    return next((name for name in names if name.lower() in _KNOWN), "")


def choose_split(splits: Iterable[str], wanted: str, where: str) -> tuple[str, str]:
    """The split to read of those that there are, and a note to the user or "".

    Nobody trains on held-out pictures because they did not ask: unasked, it is `train`, or the only one.

    Raises:
        SightwordError: the split is unknown, or there are several and none is called `train`.
    """
    names = sorted(set(splits))
    if wanted:
        if wanted not in names:
            raise unknown(f"split in '{where}':", wanted, names)
        return wanted, ""
    if len(names) == 1:
        return names[0], ""
    if TRAIN in names:
        return TRAIN, f"of the splits {', '.join(names)}, '{TRAIN}' is read (--split names another)"
    raise SightwordError(f"'{where}' has the splits {', '.join(names)}; choose one with --split")
