"""Which recipes there are: public functions that return a `Config`, found by their annotation.

The user's own lie in the `recipes/` folders of the directories that `SIGHTWORD_PATH` names.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import sightword.recipes as package
from sightword import plugins
from sightword.config import Config
from sightword.errors import unknown

Recipe = Callable[[], Config]


def names() -> dict[str, Recipe]:
    """Every recipe by its name on the command line."""
    files = plugins.modules("recipes", package.__path__)
    written = {name: file for name, file in files.items() if _holds_recipe(file)}
    modules = (plugins.load(package.__name__, name, file) for name, file in written.items())
    return {name: recipe for module in modules for name, recipe in _recipes(module)}


def find(name: str) -> Config:
    """The configuration of the recipe of that name; its batch is that of all processes together.

    Raises:
        SightwordError: when there is none, with the nearest names.
    """
    known = names()
    if name not in known:
        raise unknown("recipe", name, known, "(flags need two hyphens; a recipe comes first)")
    return replace(known[name](), ranks=1)


def _holds_recipe(file: Path) -> bool:
    """Whether some function there is written as a recipe; other modules are not imported."""
    state = file.stat()
    return _written(file, state.st_mtime_ns, state.st_size)


@cache
def _written(file: Path, changed: int, size: int) -> bool:
    """Of a file as it was last changed."""
    try:
        nodes = ast.parse(file.read_bytes(), str(file)).body
    except SyntaxError:
        return True  # whoever imports it says what is wrong
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef) and n.returns and not _asks(n.args)]
    return any("Config" in ast.unparse(n.returns) for n in functions if n.returns)


def _asks(arguments: ast.arguments) -> bool:
    """Whether a function cannot be called without arguments, as recipes are."""
    needed = len(arguments.posonlyargs) + len(arguments.args) > len(arguments.defaults)
    return needed or any(default is None for default in arguments.kw_defaults)


def _recipes(module: ModuleType) -> Iterator[tuple[str, Recipe]]:
    for function in vars(module).values():
        own = inspect.isfunction(function) and function.__module__ == module.__name__
        if own and _is_recipe(function):
            yield function.__name__.replace("_", "-"), function


def _is_recipe(function: Callable[..., object]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    returns = function.__annotations__.get("return")
    return returns in ("Config", Config) and not function.__name__.startswith("_") and not parameters
