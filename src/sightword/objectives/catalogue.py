"""Which objectives there are: one a file, named by its file. Listing them imports no torch."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Mapping
from dataclasses import field, make_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sightword.objectives as package
from sightword import config, plugins
from sightword.errors import SightwordError, unknown
from sightword.objectives import grammar
from sightword.objectives.grammar import Weighted

if TYPE_CHECKING:
    from sightword.objectives.base import Objective
    from sightword.words import Surroundings


def names() -> tuple[str, ...]:
    """The names that `--objective` understands, the user's own included (see `plugins`)."""
    return tuple(sorted(_files()))


def about(name: str) -> str:
    """The first line of an objective's module docstring."""
    docstring = ast.get_docstring(_syntax(_file(name))) or ""
    return docstring.partition("\n")[0]


def parse(text: str) -> tuple[Weighted, ...]:
    """The terms of `--objective`, every name known.

    Raises:
        SightwordError: when the text is no weighted sum, or names an objective that nobody knows.
    """
    terms = grammar.parse(text)
    for term in terms:
        _file(term.name)
    return terms


def load_objective(name: str) -> type[Objective]:
    """The one concrete subclass of `Objective` in the file of that name.

    Raises:
        SightwordError: when the name is unknown, or the file holds no such class or several.
    """
    from sightword.objectives.base import Objective

    file = _file(name)
    module = plugins.load(package.__name__, file.stem, file)
    found = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Objective)
        and kind.__module__ == module.__name__
        and not inspect.isabstract(kind)
    ]
    if len(found) != 1:
        listed = ", ".join(kind.__name__ for kind in found) or "none"
        raise SightwordError(f"'{file}' must hold exactly one concrete subclass of Objective; found {listed}")
    return found[0]


def options(kind: type[Objective]) -> Mapping[str, tuple[Any, Any]]:
    """Each option of an objective: its type and its default."""
    hints = typing.get_type_hints(kind.__init__)
    keywords = [p for p in inspect.signature(kind).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return {p.name: (hints[p.name], p.default) for p in keywords}


def build(term: Weighted, around: Surroundings) -> Objective:
    """The objective of a term, with its heads, for towers with these facts.

    Raises:
        SightwordError: when the objective is unknown, an option is unknown or of the wrong type, or the
            towers do not fit.
    """
    kind = load_objective(term.name)
    fields = [(name, hint, field(default=default)) for name, (hint, default) in options(kind).items()]
    chosen: Any = config.build(
        make_dataclass("Options", fields), dict(term.options), f"objective {term.name}"
    )
    return kind(around, **vars(chosen))


def _file(name: str) -> Path:
    files = _files()
    if name not in files:
        raise unknown("objective", name, files)
    return files[name]


def _files() -> dict[str, Path]:
    found = plugins.modules(package.__name__.rpartition(".")[2], package.__path__)
    return {name.replace("_", "-"): file for name, file in found.items() if _holds_objective(file)}


def _holds_objective(file: Path) -> bool:
    """Whether some class there is written as a subclass of `Objective`; the seam's own modules have none."""
    bases = [base for node in _syntax(file).body if isinstance(node, ast.ClassDef) for base in node.bases]
    return any(ast.unparse(base).rpartition(".")[2] == "Objective" for base in bases)


def _syntax(file: Path) -> ast.Module:
    state = file.stat()
    return _parsed(file, state.st_mtime_ns, state.st_size)


@cache
def _parsed(file: Path, changed: int, size: int) -> ast.Module:
    """Of a file as it was last changed: a listing asks for each of them many times."""
    try:
        return ast.parse(file.read_text(encoding="utf-8"), str(file))
    except (SyntaxError, ValueError) as error:
        raise SightwordError(f"'{file}' is not Python: {error}") from error
