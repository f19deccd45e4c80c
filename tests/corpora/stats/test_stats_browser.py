"""The page in a real browser: offline, readable, as wide as the window, deaf to what captions say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_corpus import write_corpus

from sightword.corpora.stats.survey import StatsOptions, stats

pytestmark = pytest.mark.browser
CONTRAST = """
() => {
  const channel = (v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
    return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b); };
  const ground = (e) => { while (e) { const c = getComputedStyle(e).backgroundColor;
    if (c !== 'rgba(0, 0, 0, 0)') return c; e = e.parentElement; } return 'rgb(255, 255, 255)'; };
  return [...document.querySelectorAll('h1, h2, h3, p, td, th, small, caption, figcaption, dt, dd, li, span')]
    .filter((e) => e.textContent.trim() && e.offsetParent)
    .map((e) => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
      return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.outerHTML.slice(0, 80)]; })
    .filter(([contrast]) => contrast < 4.5);
}
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    stats(str(write_corpus(folder)), folder / "stats.html", StatsOptions(workers=1))
    return folder / "stats.html"


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_the_page_on_a_screen(browser: object, page: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_offline(True)
    tab, said, asked = context.new_page(), list[str](), list[str]()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    tab.evaluate("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; })")
    tab.wait_for_function("[...document.images].every((i) => i.complete)")
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert tab.evaluate("[...document.images].every((i) => i.naturalWidth > 0)")
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.evaluate(CONTRAST) == []
    assert tab.title() != "taken"
    context.close()
