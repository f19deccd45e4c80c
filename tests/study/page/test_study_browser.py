"""The study's page in a real browser: nothing is fetched, everything can be read, a size can be chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contrast_on_screen import COLOURS

pytestmark = pytest.mark.browser
CONTRAST = (
    f"""
() => {{
  {COLOURS}
"""
    + """
  const over = (cell) => {  // a cell's colour with its opacity over the plain cell beneath
    const side = cell.previousElementSibling; let below = ground(cell);
    const rects = [];
    for (let e = side; e && e.tagName === 'rect' && rects.length < 3; e = e.previousElementSibling)
      rects.unshift(e);
    for (const r of rects) { const s = getComputedStyle(r); if (s.fill === 'none') continue;
      const a = Number(s.fillOpacity), f = parts(s.fill);
      below = below.map((v, i) => a * f[i] + (1 - a) * v); }
    return below; };
  const found = words('h1, h2, h3, h4, p, td, th, small, figcaption, dt, dd, li, summary');
  const cells = [...document.querySelectorAll('text.number[text-anchor=middle]')]
    .map((e) => [ratio(light(parts(getComputedStyle(e).fill)), light(over(e))), e.outerHTML.slice(0, 80)]);
  return [found.length, cells.length, faint([...found, ...cells])];
}
"""
)


@pytest.fixture(params=[(1200, "light"), (1200, "dark"), (390, "light")], ids=str)
def tab(request: pytest.FixtureRequest, browser: Any, out: Path) -> Iterator[Any]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_offline(True)
    opened = context.new_page()
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto((out / "study.html").as_uri())
    yield opened
    context.close()


def test_it_is_readable_and_fetches_nothing(tab: Any) -> None:
    assert [url for url in tab.asked if not url.startswith("data:")] == [tab.url]
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    words, cells, faint = tab.evaluate(CONTRAST)
    assert words > 200
    assert cells > 50
    assert faint == []


def test_a_size_is_chosen_without_a_script(tab: Any) -> None:
    def shown() -> list[str]:
        return tab.evaluate(
            "[...document.querySelectorAll('.at')].filter((e) => e.offsetParent).map((e) => e.dataset.size)"
        )

    assert shown() == ["40000"]
    tab.get_by_role("radio", name="3,000 pairs", exact=True).check()
    assert shown() == ["3000"]


def test_print_is_black_on_white(browser: Any, out: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.goto((out / "study.html").as_uri())
    tab.emulate_media(media="print")
    look = "(e) => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]"
    assert tab.eval_on_selector("h1", look) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    line = "(e) => getComputedStyle(e).stroke"
    assert tab.eval_on_selector(".c1 .line", line) == "rgb(103, 40, 0)"
    context.close()
