"""HTML that cannot be injected into: text is escaped unless this room made it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from importlib import resources
from typing import final

_VOID = frozenset(
    {"img", "br", "meta", "link", "hr", "input", "image", "use", "circle", "line", "rect", "path"}
)


@final
class Markup(str):
    """A string that is already HTML or SVG. Only the functions of this room make one."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as escaped text; markup stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def verbatim(source: str) -> Markup:
    """Source that this package wrote itself (its style sheet and script), taken as it is."""
    return Markup(source)


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Several values in a row, each escaped unless it is markup."""
    return Markup(between.join(text(part) for part in parts))


def tag(_name: str, *children: object, **attributes: object) -> Markup:
    """An element. Children are escaped unless they are markup, and attribute values always are.

    Attributes are spelled as Python can: `class_` is `class`, `stroke_width` is `stroke-width`; those that
    are None or False are left out, and True stands without a value.
    """
    written = "".join(
        f" {_spelled(name)}" if value is True else f' {_spelled(name)}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if _name in _VOID and not children:
        return Markup(f"<{_name}{written}/>")
    return Markup(f"<{_name}{written}>{join(children)}</{_name}>")


def document(title: str, body: Iterable[Markup], sheets: Iterable[str]) -> Markup:
    """A whole page, which needs no other file.

    Args:
        title: of the page.
        body: what is on it.
        sheets: its style sheets, by their names in this package.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", verbatim("\n".join(map(asset, sheets)))),
    )
    return verbatim("<!doctype html>\n" + tag("html", head, tag("body", *body), lang="en"))


def asset(name: str) -> str:
    """The text of a style sheet or script of this package."""
    return resources.files("sightword.report").joinpath(name).read_text(encoding="utf-8")


def _spelled(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
