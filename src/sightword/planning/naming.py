"""Which of a step's activations belong to which pass through a tower, and to which objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

from torch import nn

from sightword.planning.ledger import Ledger
from sightword.towers.momentum import Follower
from sightword.training.plan import Pass
from sightword.training.pretrainer import Pretrainer


@contextmanager
def told_apart(model: Pretrainer, progress: float, ledger: Ledger) -> Iterator[None]:
    """While it lasts, what each pass through a tower and each objective makes is kept apart."""
    hooks = []
    for module, names in _makers(model, progress):
        turns = cycle(names)
        hooks.append(module.register_forward_pre_hook(lambda *_, turns=turns: ledger.begin(next(turns))))
        hooks.append(module.register_forward_hook(lambda *_: ledger.end()))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _makers(model: Pretrainer, progress: float) -> Iterator[tuple[nn.Module, list[str]]]:
    """Modules that make activations, and what each of their calls in a step is for."""
    active = model.active(progress)
    passes = model.plan(progress).passes
    askers = {p: [w.name for w in active if set(w.wants.values()) & set(p.encodes)] for p in passes}
    towers = model.encoders.towers
    for tower, module in towers.items():
        names = [_said(p, askers[p]) for p in passes if p.tower == tower and p.teacher is None]
        if names:
            yield module, names
    for follower in model.teachers.children():
        assert isinstance(follower, Follower)
        own = [p for p in passes if p.teacher == follower.schedule and follower.leader is towers[p.tower]]
        if own:
            yield follower, [_said(p, askers[p]) for p in own]
    for weighted in active:
        yield weighted.objective, [f"{weighted.name}: heads and scores"]


def _said(one: Pass, askers: Sequence[str]) -> str:
    """A pass, for people: `image: 3 views of 224 px (clip, simclr)`."""
    count, first = len(one.encodes), one.encodes[0]
    many = "s" if count > 1 else ""
    parts = [f"{count} view{many} of {first.view.size} px"] if first.view else []
    parts += [f"{count} caption{many}"] if first.caption else []
    parts += ["some hidden"] if first.keep or first.keep_words else []
    who = f"{one.tower}'s teacher" if one.teacher else one.tower
    return f"{who}: {', '.join(parts)} ({', '.join(askers)})"
