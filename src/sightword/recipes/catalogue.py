"""Which recipes there are: public functions that return a `Config`, found by their annotation.

The user's own lie in the `recipes/` folders of the directories that `SIGHTWORD_PATH` names.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import sightword.recipes as package
from sightword import plugins
from sightword.config import Config
from sightword.errors import unknown

Recipe = Callable[[], Config]


def names() -> dict[str, Recipe]:
    """Every recipe by its name on the command line."""
    found: dict[str, Recipe] = {}
    for name, file in plugins.modules("recipes", package.__path__).items():
        if not _holds_recipe(file):
            continue
        module = plugins.load(package.__name__, name, file)
        for function in vars(module).values():
            if (
                inspect.isfunction(function)
                and function.__module__ == module.__name__
                and _is_recipe(function)
            ):
                found[function.__name__.replace("_", "-")] = function
    return found


def find(name: str) -> Config:
    """The configuration of the recipe of that name.

    Raises:
        SightwordError: when there is none, with the nearest names.
    """
    known = names()
    if name not in known:
        raise unknown("recipe", name, known, "(flags need two hyphens; a recipe comes first)")
    return known[name]()


def _holds_recipe(file: Path) -> bool:
    """Whether some function there is written as a recipe; other modules are not imported."""
    functions = (node for node in ast.parse(file.read_bytes(), str(file)).body if isinstance(node, ast.FunctionDef))
    return any(node.returns is not None and ast.unparse(node.returns) == "Config" for node in functions)


def _is_recipe(function: Callable[..., object]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    returns = function.__annotations__.get("return")
    return returns in ("Config", Config) and not function.__name__.startswith("_") and not parameters
