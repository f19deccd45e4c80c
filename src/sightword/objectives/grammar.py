"""The language of `--objective`: weighted sums such as `clip + 0.5 * mae(ratio=0.6)@80%`.

    sum    = term { "+" term }
    term   = [ weight "*" ] name [ "(" option { "," option } ")" ] [ "@" percent "%" ]
    option = name "=" ( number | true | false | word | "quoted words" )

`@80%` means: from 80 % of training on. No torch here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from sightword.errors import SightwordError

Value = bool | int | float | str


@dataclass(frozen=True)
class Weighted:
    """One term of the sum. `str` gives its canonical text, which parses to an equal term."""

    name: str
    weight: float = 1.0
    start: float = 0.0  # share of training after which it counts, in [0, 1)
    options: tuple[tuple[str, Value], ...] = ()  # in the order of their names

    @property
    def label(self) -> str:
        """What tells it from every other term of its sum: the name and the options."""
        if not self.options:
            return self.name
        return f"{self.name}({', '.join(f'{name}={_value(value)}' for name, value in self.options)})"

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f"{self.weight!r} * "
        start = f"@{(Decimal(repr(self.start)) * 100).normalize():f}%" if self.start else ""
        return f"{weight}{self.label}{start}"


def parse(text: str) -> tuple[Weighted, ...]:
    """The terms of a sum.

    Raises:
        SightwordError: when it is not one; the message shows the column and what was expected there.
    """
    terms = _Parser(text).parse()
    for i, term in enumerate(terms):
        if term.label in [other.label for other in terms[:i]]:
            raise SightwordError(
                f"'{term.label}' stands twice in the sum; give it once, with the sum of both weights"
            )
    return terms


def canonical(terms: Sequence[Weighted]) -> str:
    """The text that `parse` reads as `terms`."""
    return " + ".join(map(str, terms))


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<name>[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*)
      | (?P<quoted>"(?:[^"\\]|\\["\\])*")
      | (?P<sign>[+*@%(),=])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


class _Parser:
    """Recursive descent, one method for each line of the grammar above."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at, self.found = 0, ""
        self._advance()

    def parse(self) -> tuple[Weighted, ...]:
        terms = [self._term()]
        while self._take("+"):
            terms.append(self._term())
        if self.kind != "end":
            self._fail("'+' or the end")
        return tuple(terms)

    def _term(self) -> Weighted:
        weight = self._weight() if self.kind == "number" else 1.0
        if self.kind != "name":
            self._fail("the name of an objective" if weight == 1 else "the name of an objective to weigh")
        name = self._advance().lower().replace("_", "-")
        options = self._options() if self._take("(") else ()
        start = self._start() if self._take("@") else 0.0
        return Weighted(name, weight, start, options)

    def _weight(self) -> float:
        weight = float(self.found)
        if not 0 < weight < math.inf:
            self._fail("a weight above zero (leave a term out instead of giving it no weight)")
        self._advance()
        self._need("*", "'*' between a weight and its objective")
        return weight

    def _options(self) -> tuple[tuple[str, Value], ...]:
        options: dict[str, Value] = {}
        while not self._take(")"):
            if options:
                self._need(",", "',' or ')'")
            if self.kind != "name" or self.found in options:
                self._fail("the name of an option that was not given yet")
            name = self._advance()
            self._need("=", f"'=' after the option '{name}'")
            options[name] = self._option_value()
        return tuple(sorted(options.items()))

    def _option_value(self) -> Value:
        if self.kind == "number":
            word = self._advance()
            return int(word) if re.fullmatch(r"-?\d+", word) else float(word)
        if self.kind == "quoted":
            return re.sub(r"\\(.)", r"\1", self._advance()[1:-1])
        if self.kind != "name":
            self._fail("a number, true, false or a word")
        word = self._advance()
        return {"true": True, "false": False}.get(word.lower(), word)

    def _start(self) -> float:
        if self.kind != "number" or not 0 <= float(self.found) < 100:
            self._fail("a percentage of training from 0 to below 100, such as 80%")
        start = float(Decimal(self._advance()) / 100)
        self._need("%", "'%' after the share of training")
        return start

    def _take(self, sign: str) -> bool:
        taken = self.found == sign and self.kind == "sign"
        if taken:
            self._advance()
        return taken

    def _need(self, sign: str, wanted: str) -> None:
        if not self._take(sign):
            self._fail(wanted)

    def _advance(self) -> str:
        """Step to the next token; returns the one that was left."""
        left = self.found
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            self.kind, self.begin, self.found = "unknown", *_first_word(self.text, self.at)
            return left
        self.kind = str(match.lastgroup)
        self.begin, self.at = match.span(self.kind)
        self.found = match[self.kind]
        return left

    def _fail(self, wanted: str) -> NoReturn:
        found = "the end" if self.kind == "end" else f"'{self.found}'"
        message = (
            f"objective '{self.text}', column {self.begin + 1}: found {found}, wanted {wanted}; "
            "write for example: clip + 0.5 * simclr(temperature=0.2)"
        )
        raise SightwordError(message.replace("\n", " "))


def _first_word(text: str, at: int) -> tuple[int, str]:
    begin = at + len(text[at:]) - len(text[at:].lstrip())
    return begin, text[begin:].split()[0]


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value) and value.lower() not in ("true", "false")
        return value if plain else '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    return repr(value)
