"""What the tests' own checking of annotations catches, and what it leaves alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import checked_shapes
import jaxtyping
import pytest
import torch
from beartype.roar import BeartypeCallHintViolation as Violation

from sightword.losses import contrast

TEXT = """
from __future__ import annotations
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
import jaxtyping
from jaxtyping import Float
from torch import Tensor
if TYPE_CHECKING:
    from nowhere import Unknown

def same(a: Float[Tensor, "b d"], b: Float[Tensor, "b d"], *, by: int = 1) -> Float[Tensor, "b"]:
    return (a * b).sum(dim=by)

def inner(a: Float[Tensor, "b d"]) -> Float[Tensor, "d"]:
    return same(a.T, a.T)

def wrong(a: Float[Tensor, "b d"]) -> Float[Tensor, "b"]:
    return a[0]

def table(classes: int) -> Float[Tensor, "{classes} 2"]:
    import torch
    return torch.zeros(3, 2)

def late(one: Later) -> int:
    return one.value

@dataclass(frozen=True)
class Later:
    value: int

    @classmethod
    def of(cls, value: str) -> Later:
        return cls(int(value))

    @property
    def text(self) -> str:
        return self.value

def unknown(one: Unknown) -> str:
    return str(one)

def adder(by: int) -> Callable[[int], int]:
    def add(to: int) -> int:
        return to + by
    return add

def refuse(why: str, really: bool = True) -> NoReturn:
    if really:
        raise LookupError(why)

def count(to: int) -> Iterator[int]:
    yield from range(to)
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A package that is imported under the hook, as the package itself is."""
    folder = tmp_path_factory.mktemp("hooked")
    (folder / "hooked_example.py").write_text(TEXT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        hook = jaxtyping.install_import_hook("hooked_example", "beartype.beartype")
        yield importlib.import_module("hooked_example")
        hook.uninstall()
    del sys.modules["hooked_example"]


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def test_the_package_is_checked() -> None:
    with pytest.raises(Violation):
        contrast.info_nce(zeros(2, 3), zeros(2, 4), 1.0, zeros(2, 3), zeros(2, 4), 0)
    assert jaxtyping.jaxtyped is checked_shapes.checked


def test_an_axis_is_one_number_in_all_of_a_call(module: ModuleType) -> None:
    assert module.same(zeros(2, 3), zeros(2, 3)).shape == (2,)
    assert module.same(zeros(3, 3), zeros(3, 3)).shape == (3,)  # another call, another number
    with pytest.raises(Violation) as caught:
        module.same(zeros(2, 3), zeros(2, 4))
    (note,) = caught.value.__notes__
    assert note.splitlines()[0] == "in hooked_example.same"
    assert note.splitlines()[-2:] == ["b=2", "d=3"]
    with pytest.raises(Violation):
        module.same(zeros(2, 3), zeros(2, 3).double().long())
    with pytest.raises(Violation):
        module.same(zeros(2, 3), zeros(2, 3), by="1")


def test_a_call_inside_has_axes_of_its_own(module: ModuleType) -> None:
    assert module.inner(zeros(2, 3)).shape == (3,)
    assert module.wrong(zeros(3, 3)).shape == (3,)


def test_an_answer_is_checked_against_what_was_asked(module: ModuleType) -> None:
    with pytest.raises(Violation):
        module.same(zeros(2, 3), zeros(2, 3), by=0)
    with pytest.raises(Violation):
        module.wrong(zeros(2, 3))


def test_an_axis_computed_from_an_argument(module: ModuleType) -> None:
    assert module.table(3).shape == (3, 2)
    with pytest.raises(jaxtyping.TypeCheckError):
        module.table(4)


def test_classes_named_before_they_are_made(module: ModuleType) -> None:
    assert module.late(module.Later(3)) == 3
    with pytest.raises(Violation):
        module.late(3)
    with pytest.raises(Violation):
        module.Later("3")
    assert module.Later.of("3") == module.Later(3)
    with pytest.raises(Violation):
        module.Later.of(3)
    with pytest.raises(Violation):
        _ = module.Later(3).text


def test_names_for_static_checkers_alone_mean_anything(module: ModuleType) -> None:
    assert module.unknown(3) == "3"


def test_every_closure_is_checked_and_keeps_what_it_holds(module: ModuleType) -> None:
    for by in (1, 2):
        assert module.adder(by)(3) == 3 + by
        with pytest.raises(Violation):
            module.adder(by)("3")
    with pytest.raises(Violation):
        module.adder("1")


def test_what_never_answers_may_not(module: ModuleType) -> None:
    with pytest.raises(LookupError):
        module.refuse("no")
    with pytest.raises(Violation):
        module.refuse("no", really=False)


def test_a_generator_is_asked_when_it_is_called(module: ModuleType) -> None:
    assert list(module.count(3)) == [0, 1, 2]
    with pytest.raises(Violation):
        module.count("3")


def test_it_can_be_turned_off(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert module.wrong(zeros(2, 3)).shape == (3,)
