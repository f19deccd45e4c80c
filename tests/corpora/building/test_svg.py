from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightword.corpora.building import svg
from sightword.corpora.building.svg import why_not

LINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'


def drawing(body: str, before: str = "") -> bytes:
    return f'{before}<svg xmlns="http://www.w3.org/2000/svg" {LINK} viewBox="0 0 9 9">{body}</svg>'.encode()


@pytest.mark.parametrize(
    "body",
    [
        '<path d="M0 0h9v9z"/>',
        "<style>.a{fill:red}</style><g class='a'/>",
        '<image href="data:image/png;base64,AAAA"/>',
        '<defs><g id="a"><path d="M0 0"/></g></defs><use href="#a"/><use xlink:href="#a"/>',
        '<a href="https://example.org"><path d="M0 0"/></a>',
    ],
)
def test_still_drawings_pass(body):
    assert why_not(drawing(body)) == ""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<path><animate attributeName="x"/></path>', "animated"),
        ('<g><animateTransform type="rotate"/></g>', "animated"),
        ("<set/>", "animated"),
        ("<style>@keyframes spin{}</style>", "animated"),
        ("<style>.a{animation : spin 1s}</style>", "animated"),
        ('<g style="animation:spin 2s"/>', "animated"),
        ("<text>words</text>", "holds text, which looks different on every machine"),
        ('<image xlink:href="file:///etc/passwd"/>', "shows a picture from another file"),
        ('<image href="photo.png"/>', "shows a picture from another file"),
        ('<image href="data:image/svg+xml;base64,AAAA"/>', "shows a picture from another file"),
        ('<filter><feImage href="a.png"/></filter>', "shows a picture from another file"),
        ('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g><use href="#a"/>', "uses itself"),
        ("<g>", "not XML"),
    ],
)
def test_what_is_no_still_drawing_says_why(body, reason):
    assert why_not(drawing(body)) == reason


def test_entities_are_refused_where_they_are_declared_and_never_expanded():
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = drawing("<desc>&l11;</desc>", f'<!DOCTYPE svg [<!ENTITY l0 "ha">{laughs}]>')
    assert why_not(bomb) == "declares entities"
    outside = drawing("<desc>&x;</desc>", '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>')
    assert why_not(outside) == "declares entities"
    assert why_not(drawing("", '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">')) == ""


def test_uses_of_uses_are_counted_not_followed():
    levels = [f'<g id="g{n}">{f"""<use href="#g{n - 1}"/>""" * 10}</g>' for n in range(1, 30)]
    bomb = drawing('<g id="g0"><path d="M0 0"/></g>' + "".join(levels) + '<use href="#g29"/>')
    assert why_not(bomb) == "more than 20,000 elements"


def test_depth_and_size_are_limited(monkeypatch):
    assert why_not(drawing("<g>" * 500 + "</g>" * 500)) == "more than 200 elements deep"
    monkeypatch.setattr(svg, "MOST_BYTES", 1 << 20)
    assert why_not(drawing(" " * (1 << 20))) == "more than 1 MiB of SVG"


@given(st.binary(max_size=200))
def test_rubbish_is_never_a_crash(content):
    assert isinstance(why_not(b"<svg>" + content), str)
