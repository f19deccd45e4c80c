"""The whole command: a page and a record, whatever the corpus."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tiny_corpus import HOSTILE, write_corpus

from sightword.corpora.stats import survey as room
from sightword.corpora.stats.page import render
from sightword.corpora.stats.record import Stats
from sightword.corpora.stats.says import percent
from sightword.corpora.stats.sheet import ALIKE, RANDOM, UNREADABLE
from sightword.corpora.stats.survey import StatsOptions, stats
from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sample import Sample
from sightword.pairs.tars.writer import write_shard


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def found(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Stats:
    out = tmp_path_factory.mktemp("page") / "stats.html"
    return stats(str(source), out, StatsOptions(workers=1))


class _Tags(HTMLParser):
    """Every tag with its attributes, and the text outside of style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_record_is_the_result(found: Stats) -> None:
    record = json.loads(Path(found.page).with_suffix(".json").read_text())
    assert record == json.loads(json.dumps(dataclasses.asdict(found)))
    assert record["about"]["pairs"] == 40
    assert record["pictures"]["unreadable"] == {"count": 3, "of": 40, "share": 3 / 40}


def test_the_page_asks_for_nothing_and_runs_nothing(found: Stats) -> None:
    page = Path(found.page).read_text()
    tags = _Tags(page).tags
    assert "script" not in {tag for tag, _ in tags}
    for _, attributes in tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    assert not re.search(r"url\(|@import", page)
    assert "&lt;script&gt;document.title=" in page
    assert HOSTILE not in page


def test_every_picture_has_words_and_every_figure_a_title(found: Stats) -> None:
    page = Path(found.page).read_text()
    images = [attributes for tag, attributes in _Tags(page).tags if tag == "img"]
    assert len(images) > 40
    assert all(image["alt"] for image in images)
    assert (
        len(re.findall(r"<svg[^>]*role=\"img\"", page)) == len(re.findall(r"<svg[^>]*><title>", page)) >= 11
    )


def test_the_page_shows_the_record(found: Stats) -> None:
    """Change the record, and the page says the other number."""
    before = Path(found.page).read_text()
    share = next(n / 100 for n in range(11, 100) if percent(n / 100) not in before)
    over = dataclasses.replace(found.captions.over_context, share=share)
    captions = dataclasses.replace(found.captions, over_context=over)
    assert percent(share) in render(dataclasses.replace(found, captions=captions), {})


def test_the_sheet_shows_all_kinds(found: Stats) -> None:
    groups = {one.group for one in found.shown}
    assert {RANDOM, ALIKE, UNREADABLE, "The smallest", "The largest", "The longest captions"} <= groups
    largest = next(one for one in found.shown if one.group == "The largest")
    assert largest.note.startswith("670")
    bad = [one for one in found.shown if one.group == UNREADABLE]
    assert [one.key for one in bad] == ["k36", "k37", "k38"]
    assert bad[1].note == "the file is empty"
    shapes = next(one for one in found.shown if one.group == "The most extreme shapes")
    assert shapes.key == "k33"


def test_what_it_says(found: Stats) -> None:
    said = "\n".join(found.says)
    assert "40 pairs" in said
    assert f"{percent(0.075)} of the pictures cannot be read (3 of 40)" in said
    assert "`sightword data pack --resize 256 --only-large`" in said
    assert f"{percent(0.1)} of the captions are longer than the 77 tokens" in said
    assert found.lines()[-1].endswith("stats.html")


def _numbers(found: Stats) -> dict[str, Any]:
    """All that does not depend on the clock."""
    record = json.loads(json.dumps(dataclasses.asdict(found)))
    for timed in ("seconds", "page", "shrink", "says"):
        del record[timed]
    for timed in ("milliseconds", "per_second"):
        del record["pictures"][timed]
    return record


def test_processes_change_nothing(
    source: Path, found: Stats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_FEW_PICTURES", 0)
    monkeypatch.setattr("sightword.corpora.stats.captions.AT_ONCE", 9)  # gathered from several jobs here
    monkeypatch.setattr("sightword.corpora.stats.pictures.AT_ONCE", 7)
    again = stats(str(source), tmp_path / "again.html", StatsOptions(workers=2))
    assert _numbers(again) == _numbers(found)


def test_a_sample_is_a_sample_and_the_seed_decides(source: Path, tmp_path: Path) -> None:
    options = StatsOptions(pictures=10, captions=20, workers=1)
    first = stats(str(source), tmp_path / "a.html", options)
    again = stats(str(source), tmp_path / "b.html", options)
    other = stats(str(source), tmp_path / "c.html", dataclasses.replace(options, seed=1))
    assert (first.pictures.sample, first.captions.pairs) == (10, 20)
    assert _numbers(first) == _numbers(again)
    assert [one.number for one in first.shown] != [one.number for one in other.shown]
    assert "drawn at random" in first.says[0]


def test_pictures_without_captions_and_captions_without_pictures(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [Sample(f"k{i}", (), {}, b"no picture") for i in range(3)])
    found = stats(
        str(tmp_path / "a.tar"), tmp_path / "a.html", StatsOptions(workers=1), Reading(captionless=True)
    )
    assert (found.pictures.readable, found.captions.captions, found.captions.without.share) == (0, 0, 1.0)
    page = (tmp_path / "a.html").read_text()
    assert "No picture could be read." in page
    assert "None of 3 pairs has a caption." in page


@pytest.mark.parametrize("options", [{"pictures": -1}, {"captions": -1}, {"size": 0}])
def test_impossible_options_are_told(options: dict[str, int]) -> None:
    with pytest.raises(SightwordError, match="--"):
        StatsOptions(**options)


def test_a_wrong_name_is_told_before_the_work(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match=r"ends in \.html"):
        stats(str(source), tmp_path / "stats")
