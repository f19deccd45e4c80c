"""The page of an adaptation: its numbers are the records', and it can be read in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from contrast_on_screen import contrast
from small_adaptation import Small

from sightword.adapting.choice import Point
from sightword.adapting.page.curve_figure import curve_figure
from sightword.report import phrases
from sightword.statistics import Interval

NONE = Interval(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def page(small: Small) -> str:
    return (small.out / "adapt.html").read_text(encoding="utf-8")


def test_it_shows_what_the_records_say(small: Small, page: str) -> None:
    records = [json.loads(line) for line in (small.out / "adapt.jsonl").read_text().splitlines()]
    for record in records:
        if record["kind"] == "change":
            assert phrases.percent(record["second"]) in page
            assert phrases.points(record["difference"]) in page
        if record["kind"] == "alpha":
            assert f"alpha {record['alpha']:g}" in page
            assert phrases.percent(record["reference"]) in page
        if record["kind"] == "setting":
            assert f"<code>{record['name']}</code>" in page
    (said,) = [record["said"] for record in records if record["kind"] == "outcome"]
    assert f"<h1>{said.partition('. ')[0]}</h1>" in page
    assert 'id="change"' in page
    assert "small stand-in" not in page  # the reference is the user's own


def test_the_figure_tells_chosen_and_refused_apart_without_colour() -> None:
    def point(alpha: float, own: float, gain: float) -> Point:
        change = Interval(gain, gain - 0.01, gain + 0.01)
        return Point(
            alpha,
            Interval(own, own - 0.05, own + 0.05),
            NONE,
            Interval(0.5 + gain, 0.4, 0.6),
            change,
            change,
            "squares/test",
        )

    points = [point(0.0, 0.2, 0.0), point(0.5, 0.3, -0.02), point(1.0, 0.5, -0.2)]
    drawn = curve_figure(points, points[1], 0.02)
    assert len(re.findall('class="hollow"', drawn)) == 1
    assert "alpha 1: your pairs 50.0" in drawn
    assert "chosen: alpha 0.5" in drawn
    assert len(re.findall(r'd="M[\d. ]+h[\d.]+v', drawn)) == 1  # the square


@pytest.fixture(params=[(1200, "light"), (1200, "dark"), (390, "light")], ids=str)
def tab(request: pytest.FixtureRequest, browser: Any, small: Small) -> Iterator[Any]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_offline(True)
    opened = context.new_page()
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto((small.out / "adapt.html").as_uri())
    yield opened
    context.close()


CONTRAST = contrast("h1, h2, h3, p, td, th, small, figcaption, dt, dd, li, summary")


@pytest.mark.browser
def test_it_is_readable_and_fetches_nothing(tab: Any) -> None:
    assert [url for url in tab.asked if not url.startswith("data:")] == [tab.url]
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    words, faint = tab.evaluate(CONTRAST)
    assert words > 60
    assert faint == []


@pytest.mark.browser
def test_its_numbers_unfold_without_a_script(tab: Any) -> None:
    rows = tab.locator("#curve details tbody tr")
    assert rows.count() == 3
    assert not rows.first.is_visible()
    tab.locator("#curve summary").click()
    assert rows.first.is_visible()
    assert tab.evaluate("document.scripts.length") == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
