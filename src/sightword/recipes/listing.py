"""What `sightword train --list` shows: objectives, models and recipes, one line each."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from sightword.objectives import catalogue as objectives
from sightword.recipes import catalogue, models


def everything() -> str:
    """A page of text."""
    return "\n\n".join(
        [
            _table("objectives", ((name, objectives.about(name)) for name in objectives.names())),
            _table("models", ((name, _first_line(make)) for name, make in models.names().items())),
            _table("recipes", ((name, _first_line(make)) for name, make in catalogue.names().items())),
        ]
    )


def _table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    listed = list(rows)
    width = max(len(name) for name, _ in listed)
    return "\n".join([title, *(f"  {name:<{width}}  {line}" for name, line in listed)])


def _first_line(function: object) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]
