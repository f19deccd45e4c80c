"""The arms of a study: objectives, each perhaps with settings of its own.

    clip; clip + simclr; clip + 0.5 * mae {lr=3e-3, wd=0.1}

No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sightword.errors import SightwordError
from sightword.objectives import grammar

_BETWEEN = re.compile(r';(?=(?:[^"]*"[^"]*")*[^"]*$)')  # not within quotes
_OWN = re.compile(r"^(?P<sum>[^{}]*?)\s*(?:\{(?P<own>[^{}]*)\})?\s*$", re.DOTALL)
_SHORT = {name: f"optimizer.{name}" for name in ("lr", "wd", "warmup", "ema", "grad_clip")}


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared.

    objective: a weighted sum, in its canonical text.
    own: settings that are only this arm's, by dotted names.
    short: what it is called beside the others of its study, where that is shorter than all that it is.
    """

    objective: str
    own: tuple[tuple[str, str], ...] = ()
    short: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """What people are told: `clip + simclr` where no other arm of the study is that, too."""
        return self.short or self.label

    @property
    def label(self) -> str:
        """All that it is; `arms` reads it as the same arm."""
        short = {long: name for name, long in _SHORT.items()}
        said = ", ".join(f"{short.get(name, name)}={value}" for name, value in self.own)
        return f"{self.objective} {{{said}}}" if said else self.objective

    @property
    def folder(self) -> str:
        """A name for files: letters, digits, dots and a few signs."""
        return re.sub(r"[^A-Za-z0-9.+=-]+", "_", self.label.replace(" ", ""))[:80].strip("_")


def arms(text: str) -> tuple[Arm, ...]:
    """The arms that a text names, the first being what the others are compared with.

    Raises:
        SightwordError: there are fewer than two, two are alike, or one is no sum of objectives.
    """
    found = tuple(_arm(part) for part in _BETWEEN.split(text) if part.strip())
    if len(found) < 2:
        raise SightwordError(
            f"a study compares objectives, found {len(found)} in '{text}'; write for example"
            ' --objectives "clip; clip + simclr"'
        )
    for arm in found:
        if found.count(arm) > 1:
            raise SightwordError(f"the objective '{arm.label}' stands twice in the study; give it once")
    if len({arm.folder for arm in found}) < len(found):
        raise SightwordError("two objectives of the study have names too much alike; shorten their options")
    return _named(found)


def _named(found: Sequence[Arm]) -> tuple[Arm, ...]:
    """The options of objectives are left out of names, where the names then still tell all arms apart."""
    without = [_without_options(arm.objective) for arm in found]
    told = (
        short if without.count(short) == 1 else arm.label for arm, short in zip(found, without, strict=True)
    )
    return tuple(replace(arm, short=name) for arm, name in zip(found, told, strict=True))


def _without_options(objective: str) -> str:
    return grammar.canonical(tuple(replace(term, options=()) for term in grammar.parse(objective)))


def _arm(text: str) -> Arm:
    match = _OWN.match(text)
    if match is None:
        raise SightwordError(
            f"cannot read the objective '{text.strip()}'; write settings of its own behind it, as in"
            " clip + simclr {lr=3e-3, wd=0.1}"
        )
    objective = grammar.canonical(grammar.parse(match["sum"].strip()))
    own = [_setting(pair, text) for pair in (match["own"] or "").split(",") if pair.strip()]
    if len(dict(own)) < len(own):
        raise SightwordError(f"a setting stands twice in '{text.strip()}'; give it once")
    return Arm(objective, tuple(own))


def _setting(pair: str, text: str) -> tuple[str, str]:
    name, sign, value = (part.strip() for part in pair.partition("="))
    if not sign or not name or not value:
        raise SightwordError(f"in '{text.strip()}' wanted NAME=VALUE within braces, found '{pair.strip()}'")
    return _SHORT.get(name, name), value
