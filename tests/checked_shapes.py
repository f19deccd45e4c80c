"""Annotations of the package, checked at run time as jaxtyping's own decorator does, in less time.

jaxtyping's import hook puts `jaxtyping.jaxtyped` on every function and hands it beartype. That decorator
binds the arguments of every call and checks them twice, whether a shape is among them or not, and it compiles
two functions for each that is imported and for each closure that is made. Here the checks of a function are
made when it is first called, once for all closures of one text, and only where an annotation tells a shape
does a call open a scope of axes.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from types import CodeType
from typing import Any

import jaxtyping
from beartype.roar import BeartypeCallHintViolation

AnyFunction = Callable[..., Any]
_jaxtyped = jaxtyping.jaxtyped


@dataclass(frozen=True)
class Checks:
    """What a function demands: functions of its arguments and of its answer that raise, or do nothing."""

    asked: AnyFunction
    answered: AnyFunction
    shapes: bool
    computed: bool  # an axis is computed from the arguments: jaxtyping itself has to check


_known: dict[tuple[str, CodeType], Checks] = {}


def install(package: str) -> None:
    """Check every function of a package that is imported from now on."""
    jaxtyping.install_import_hook(package, "beartype.beartype")
    jaxtyping.jaxtyped = checked


def checked(fn: Any = None, *, typechecker: AnyFunction) -> Any:
    """What the hook puts on a function or a class, in the place of `jaxtyping.jaxtyped`."""
    if fn is None:
        return functools.partial(checked, typechecker=typechecker)
    if not inspect.isclass(fn):
        return _from_its_first_call(fn, typechecker)
    made = fn.__dict__.get("__init__")
    if is_dataclass(fn) and made is not None and not hasattr(made, "__wrapped__"):
        fn.__init__ = _from_its_first_call(made, typechecker)
    return fn


def _from_its_first_call(fn: AnyFunction, typechecker: AnyFunction) -> AnyFunction:
    """By then all that its annotations name has been imported."""
    ready: AnyFunction | None = None
    config = jaxtyping.config

    @functools.wraps(fn)
    def called(*args: object, **kwargs: object) -> object:
        nonlocal ready
        if config.jaxtyping_disable:
            return fn(*args, **kwargs)
        if ready is None:
            ready = _with_checks(fn, typechecker)
        return ready(*args, **kwargs)

    return called


def _with_checks(fn: AnyFunction, typechecker: AnyFunction) -> AnyFunction:
    key = (fn.__module__, fn.__code__)
    if key not in _known:
        _known[key] = _checks(fn, typechecker)
    checks = _known[key]
    if checks.computed:
        return _jaxtyped(fn, typechecker=typechecker)
    asked, answered = checks.asked, checks.answered

    def plain(*args: object, **kwargs: object) -> object:
        asked(*args, **kwargs)
        answer = fn(*args, **kwargs)
        answered(answer)
        return answer

    def scoped(*args: object, **kwargs: object) -> object:
        """What one call finds an axis to be holds for all of that call."""
        with _jaxtyped("context"):
            try:
                return plain(*args, **kwargs)
            except BeartypeCallHintViolation as violation:
                if not hasattr(violation, "__notes__"):
                    violation.add_note(f"in {fn.__module__}.{fn.__qualname__}\n{_axes()}")
                raise

    return scoped if checks.shapes else plain


def _axes() -> str:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        jaxtyping.print_bindings()
    return said.getvalue().strip()


def _checks(fn: AnyFunction, typechecker: AnyFunction) -> Checks:
    hints = {name: _hint(fn, hint) for name, hint in fn.__annotations__.items()}
    shapes = [shape for hint in hints.values() for shape in _shapes(hint)]
    answer = {"return": hints.pop("return", Any)}
    return Checks(
        asked=typechecker(_empty(fn, inspect.signature(fn), hints)),
        answered=typechecker(_empty(fn, inspect.signature(lambda answer: answer), answer, "return answer")),
        shapes=bool(shapes),
        computed=any("{" in shape.dim_str for shape in shapes),
    )


def _hint(fn: Any, hint: object) -> Any:
    """An annotation as an object; one that names what only static checkers import says nothing."""

    def one() -> None: ...

    one.__annotations__ = {"hint": hint}
    try:
        return typing.get_type_hints(one, fn.__globals__, include_extras=True)["hint"]
    except Exception:
        return Any


def _shapes(hint: Any) -> Iterator[Any]:
    """Every array annotation inside an annotation."""
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        yield hint
    for inner in hint if isinstance(hint, list) else typing.get_args(hint):  # a Callable has a list
        yield from _shapes(inner)


class _Spelt:
    """A default that is spelt as the place where it is found."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __repr__(self) -> str:
        return self.place


def _empty(
    fn: AnyFunction, signature: inspect.Signature, hints: dict[str, Any], body: str = "pass"
) -> AnyFunction:
    """A function of the same name that does next to nothing."""
    parameters, scope = [], {}
    for name, parameter in signature.parameters.items():
        default = parameter.default
        if default is not inspect.Parameter.empty:
            scope[f"default_{name}"], default = default, _Spelt(f"default_{name}")
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty, default=default))
    exec(f"def empty{inspect.Signature(parameters)}: {body}", scope)
    empty: Any = scope["empty"]
    empty.__name__, empty.__qualname__, empty.__module__ = fn.__name__, fn.__qualname__, fn.__module__
    empty.__annotations__ = hints
    return empty
