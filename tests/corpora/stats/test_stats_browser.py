"""The page in a real browser: offline, readable, as wide as the window, deaf to what captions say."""

from __future__ import annotations

from pathlib import Path

import pytest
from contrast_on_screen import contrast
from tiny_corpus import write_corpus

from sightword.corpora.stats.survey import StatsOptions, stats

pytestmark = pytest.mark.browser
CONTRAST = contrast("h1, h2, h3, p, td, th, small, caption, figcaption, dt, dd, li, span")


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
    told, faint = tab.evaluate(CONTRAST)
    assert (told > 0, faint) == (True, [])
    assert tab.title() != "taken"
    context.close()
