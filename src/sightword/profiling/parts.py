"""Marks in a trace: which part of a run's work an operation belongs to, by the names of its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.autograd.profiler import record_function

from sightword.training.pretrainer import Pretrainer
from sightword.training.stepping import Stepper

PREFIX = "sightword."
STEP, DATA, BATCH, OPTIMIZER, AFTER = "step", "data", "batch", "optimizer", "after"
_SAID = {
    STEP: "the rest of the step",
    DATA: "waiting for data",
    BATCH: "moving and finishing the batch",
    OPTIMIZER: "the optimizer",
    AFTER: "what follows the weights",
}
_FOLDERS = {"towers": "the {} tower", "teachers": "the teacher {}", "objectives": "{}'s scoring"}


def mark(part: str) -> record_function:
    """Everything in this context belongs to `part`, unless a mark inside says otherwise."""
    return record_function(PREFIX + part)


def said(part: str) -> str:
    """The part in words."""
    folder, _, name = part.partition(".")
    return _FOLDERS[folder].format(name) if name else _SAID[part]


def has_backward(part: str) -> bool:
    """Whether a forward and a backward of it can be told apart."""
    return part.startswith(("towers.", "objectives."))


@contextmanager
def marked(model: Pretrainer, stepper: Stepper) -> Iterator[None]:
    """Marks around each tower, teacher and objective, around the optimizer, and what comes after it."""
    optimizer = stepper.session.optimizer
    with ExitStack() as stack:
        for part, module in _modules(model).items():
            enter, leave = _pair(part)
            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave, always_call=True).remove)
        enter, leave = _pair(OPTIMIZER)
        stack.callback(optimizer.register_step_pre_hook(enter).remove)
        stack.callback(optimizer.register_step_post_hook(leave).remove)
        stack.enter_context(_around(model, "after_step", AFTER))
        yield


def _modules(model: Pretrainer) -> Mapping[str, nn.Module]:
    folders = {
        "towers": model.encoders.towers,
        "teachers": model.teachers,
        "objectives": model.objectives,
    }
    return {f"{folder}.{name}": one for folder, every in folders.items() for name, one in every.items()}


def _pair(part: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """Hooks that begin and end a mark; a module may be called within its own call."""
    begun: list[record_function] = []

    def enter(*_: Any) -> None:
        begun.append(mark(part))
        begun[-1].__enter__()

    def leave(*_: Any) -> None:
        begun.pop().__exit__(None, None, None)

    return enter, leave


@contextmanager
def _around(model: Pretrainer, method: str, part: str) -> Iterator[None]:
    call = getattr(model, method)

    def with_mark(*given: Any, **named: Any) -> Any:
        with mark(part):
            return call(*given, **named)

    object.__setattr__(model, method, with_mark)
    try:
        yield
    finally:
        object.__delattr__(model, method)
