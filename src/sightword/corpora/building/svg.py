"""SVG from strangers, looked over before anything draws it: one pass, no entity ever expanded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import final
from xml.parsers import expat

MOST_BYTES = 4 << 20
_MOST_DEPTH = 200  # elements inside elements; a drawing program's files have a few dozen
_MOST_USES = 20_000  # elements after every `use` is followed
_ANIMATED = frozenset({"animate", "animateTransform", "animateMotion", "animateColor", "set"})
_TEXT = frozenset({"text", "flowRoot", "textPath"})
_EMBEDDED = re.compile(r"\s*data:image/(png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
_MOVING_STYLE = re.compile(r"@keyframes|animation(-name)?\s*:")
_SPACE = " "  # between namespace and name, as expat hands them out


class _Stop(Exception):  # noqa: N818  the answer is found, nothing is wrong
    """A reason not to draw."""


@dataclass
class _Open:
    """An element being read."""

    name: str
    elements: int = 1  # it and what it holds
    ids: list[str] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)


@final
class _Reader:
    """What expat calls back."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=_SPACE)
        self.parser.EntityDeclHandler = self._entity
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.open = [_Open("")]
        self.size = dict[str, int]()  # of an element with an id
        self.uses = dict[str, list[str]]()  # of other elements by an element with an id

    def _entity(self, *declared: object) -> None:
        raise _Stop("declares entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(_SPACE)[2]
        if name in _ANIMATED:
            raise _Stop("animated")
        if name in _TEXT:
            raise _Stop("holds text, which looks different on every machine")
        element = _Open(name)
        for key, value in attributes.items():
            self._attribute(name, key.rpartition(_SPACE)[2], value, element)
        self.open.append(element)
        if len(self.open) > _MOST_DEPTH:
            raise _Stop(f"more than {_MOST_DEPTH} elements deep")

    def _attribute(self, name: str, key: str, value: str, element: _Open) -> None:
        if key == "id":
            element.ids.append(value)
            self.size.setdefault(value, 0)
        elif key == "style" and _MOVING_STYLE.search(value):
            raise _Stop("animated")
        elif key == "href" and name == "use":
            element.uses.append(value.strip().removeprefix("#"))
        elif key == "href" and name in ("image", "feImage") and not _EMBEDDED.match(value):
            raise _Stop("shows a picture from another file")

    def _end(self, name: str) -> None:
        done = self.open.pop()
        above = self.open[-1]
        above.elements += done.elements
        above.uses += done.uses
        for id in done.ids:
            self.size[id], self.uses[id] = done.elements, list(done.uses)

    def _text(self, text: str) -> None:
        if self.open[-1].name == "style" and _MOVING_STYLE.search(text):
            raise _Stop("animated")

    def total(self) -> int:
        """Elements after every `use` is followed; `use` of `use` grows exponentially."""
        known = dict[str, int]()

        def of(id: str, inside: frozenset[str]) -> int:
            if id in inside:
                raise _Stop("uses itself")
            if id not in known:
                within = inside | {id}
                if len(within) > _MOST_DEPTH:
                    raise _Stop(f"more than {_MOST_DEPTH} uses deep")
                known[id] = self.size.get(id, 0) + sum(of(use, within) for use in self.uses.get(id, ()))
            return known[id]

        return self.open[0].elements + sum(of(use, frozenset()) for use in self.open[0].uses)


def why_not(svg: bytes) -> str:
    """Why a still picture cannot be drawn from this SVG alone and safely, or nothing where it can."""
    if len(svg) > MOST_BYTES:
        return f"more than {MOST_BYTES >> 20} MiB of SVG"
    reader = _Reader()
    try:
        reader.parser.Parse(svg, True)
        if reader.total() > _MOST_USES:
            return f"more than {_MOST_USES:,} elements"
    except _Stop as stop:
        return str(stop)
    except (expat.ExpatError, ValueError, LookupError):
        return "not XML"
    return ""
