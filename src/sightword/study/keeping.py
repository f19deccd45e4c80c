"""`study.toml`: what a study is. It may grow; what its runs were made with may not change."""

from __future__ import annotations

import shutil
from pathlib import Path

from sightword.config import from_toml, to_toml
from sightword.errors import SightwordError
from sightword.study.design import Study
from sightword.study.grid import PLACES
from sightword.study.sameness import differences
from sightword.training.disk import write_text

FILE = "study.toml"
HELD_OUT = "held_out"
_FIXED = ("epochs", "lrs", "held_out", "splits", "settings")


def keep(study: Study, out: Path) -> None:
    """Write `study.toml`, or see that what lies there is the same study, perhaps with more or fewer runs.

    Raises:
        SightwordError: another study lies there, or runs without one.
    """
    path = out / FILE
    if path.is_file():
        if any((out / place).exists() for place in PLACES):
            _check(read(out), study, out)
        elif _held(read(out)) != _held(study):
            shutil.rmtree(out / HELD_OUT, ignore_errors=True)  # of a plan that was never carried out
    elif out.exists() and any(out.iterdir()):
        raise SightwordError(f"'{out}' is not empty and holds no study; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, to_toml(study))


def read(out: Path) -> Study:
    """The study of a directory.

    Raises:
        SightwordError: there is none.
    """
    path = out / FILE
    if not path.is_file():
        raise SightwordError(f"no {FILE} in '{out}'; give the directory of a study (its --out)")
    return from_toml(Study, path.read_text(encoding="utf-8"), str(path))


def _held(study: Study) -> tuple[object, ...]:
    """What decides the held-out pairs."""
    return study.held_out, study.splits, study.base.data


def _check(was: Study, now: Study, out: Path) -> None:
    told = [
        f"{name} was {getattr(was, name)!r}, now {getattr(now, name)!r}"
        for name in _FIXED
        if getattr(was, name) != getattr(now, name)
    ]
    if was.baseline != now.baseline:
        told.append(f"the first objective was '{was.baseline.label}', now '{now.baseline.label}'")
    told += [f"{name} was {one!r}, now {other!r}" for name, one, other in differences(was.base, now.base)]
    if told:
        raise SightwordError(
            f"'{out}' holds another study: {'; '.join(told)}; ask for those again, or give another --out."
            " Objectives, models, sizes, seeds and budgets may be added"
        )
