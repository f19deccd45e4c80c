"""The page in a real browser: nothing is fetched, nothing complains, everything is seen, on any screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contrast_on_screen import contrast

pytestmark = pytest.mark.browser
CONTRAST = contrast("h1, h2, h3, p, td, th, small, figcaption, dt, dd, li, summary")


class Opened:
    """The page in one kind of window, with everything that it said and asked for."""

    def __init__(self, browser: object, file: Path, width: int, scheme: str) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.context.set_offline(True)
        self.tab = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(file.as_uri())


@pytest.fixture(
    scope="module", params=[(1200, "light"), (1200, "dark"), (390, "light"), (390, "dark")], ids=str
)
def opened(request: pytest.FixtureRequest, browser: object, page: Path) -> Iterator[Opened]:
    width, scheme = request.param
    one = Opened(browser, page, width, scheme)
    yield one
    one.context.close()


def test_fetches_nothing_and_complains_of_nothing(opened: Opened, page: Path) -> None:
    opened.tab.wait_for_timeout(50)
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [page.as_uri()]


def test_every_picture_is_there(opened: Opened) -> None:
    count, broken = opened.tab.evaluate(
        "[document.images.length, [...document.images].filter((i) => !i.complete || !i.naturalWidth).length]"
    )
    assert count > 50
    assert broken == 0
    drawn = opened.tab.evaluate(
        "Promise.all([...document.querySelectorAll('.map image')].map((i) => { const p = new Image();"
        " p.src = i.getAttribute('href'); return p.decode().then(() => p.naturalWidth); }))"
    )
    assert drawn
    assert all(drawn)


def test_nothing_is_wider_than_the_window(opened: Opened) -> None:
    assert opened.tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_words_can_be_read_on_their_ground(opened: Opened) -> None:
    told, faint = opened.tab.evaluate(CONTRAST)
    assert (told > 0, faint) == (True, [])


def test_captions_cannot_act(opened: Opened) -> None:
    assert opened.tab.title() != "taken"


def test_the_map_shows_the_picture_pointed_at_and_lights_it_on_every_map(opened: Opened) -> None:
    tab = opened.tab
    spot = tab.locator(".map .point").nth(3)
    spot.scroll_into_view_if_needed()
    box = spot.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert tab.locator("#tip").is_visible()
    lit = tab.evaluate("[...document.querySelectorAll('.map')].map((m) => m.querySelectorAll('.lit').length)")
    assert lit == [1, 1, 1]
    index = int(tab.locator(".map .lit").first.get_attribute("data-i"))
    captions = tab.evaluate("JSON.parse(document.getElementById('map-data').textContent).captions")
    assert tab.locator("#tip").inner_text().strip() == " ".join(captions[index].split())
    tab.mouse.move(0, 0)
    assert tab.locator("#tip").is_hidden()


def test_a_group_can_be_singled_out(opened: Opened) -> None:
    tab = opened.tab
    tab.locator(".groups li").first.focus()
    kept = tab.evaluate("[...document.querySelectorAll('.map .point.in')].map((p) => p.dataset.g)")
    assert kept
    assert set(kept) == {"0"}
    tab.locator(".groups li").first.blur()
    assert tab.locator(".map.focused").count() == 0


def test_dark_and_light_differ(browser: object, page: Path) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        one = Opened(browser, page, 1200, scheme)
        grounds.add(one.tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        one.context.close()
    assert len(grounds) == 2


def test_prints_on_white_with_everything_unfolded(browser: object, page: Path) -> None:
    one = Opened(browser, page, 1200, "dark")
    folded = (
        "[...document.querySelectorAll('details > :not(summary)')].filter((e) => !e.checkVisibility()).length"
    )
    assert one.tab.evaluate(folded) > 0  # on the screen
    one.tab.emulate_media(media="print", color_scheme="dark")
    assert one.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert one.tab.evaluate(folded) == 0
    printed = one.tab.pdf(format="A4")
    one.context.close()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") >= 3
