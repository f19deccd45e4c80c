from __future__ import annotations

import pytest
from small_packages import SQUARE, icon_package, icon_set, npm_package

from sightword.corpora.building.archives import open_archive
from sightword.corpora.building.icons import Icons
from sightword.corpora.building.items import Drops
from sightword.errors import SightwordError

RED = SQUARE.format("red")


def read(path, corpus=None):
    drops = Drops()
    archive = open_archive(path)
    items = list((corpus or Icons()).items({archive.package: archive}, drops))
    return {item.key: item for item in items}, dict(drops.rows), drops.counts


@pytest.fixture
def build(tmp_path):
    return lambda sets, **options: read(icon_package(tmp_path / "icons.tgz", sets), Icons(**options))


def licensed(spdx):
    return {"license": {"title": spdx, "spdx": spdx}}


def test_sets_are_chosen_by_licence_and_colour(build):
    one = icon_set({"a": RED, "b": RED})
    sets = {
        "free": ({}, one),
        "gpl": (licensed("GPL-3.0"), one),
        "nc": (licensed("CC-BY-NC-4.0"), one),
        "sa": (licensed("CC-BY-SA-4.0"), one),
        "none": ({"license": {"title": "Own"}}, one),
        "old": ({"hidden": True}, one),
        "mono": ({"palette": False}, one),
    }
    items, _, counts = build(sets)
    assert list(items) == ["free_a", "free_b"]
    assert counts == {
        "a set that its package hides": 2,
        "licence CC-BY-NC-4.0": 2,
        "licence CC-BY-SA-4.0": 2,
        "licence GPL-3.0": 2,
        "licence unknown": 2,
    }
    items, _, counts = build(sets, monochrome=True, share_alike=True)
    assert list(items) == ["free_a", "free_b", "sa_a", "sa_b", "mono_a", "mono_b"]  # colour comes first
    assert items["sa_a"].fields["license"] == "CC-BY-SA-4.0"


def test_an_icon_keeps_where_it_is_from(build):
    info = {
        "name": "Small Things",
        "author": {"name": "A. Painter", "url": "https://example.org"},
        "category": "UI Multicolor",
    }
    items, _, _ = build(
        {
            "small": (
                info,
                icon_set({"north-arrow-filled": RED}, categories={"MapTravel": ["north-arrow-filled"]}),
            )
        }
    )
    item = items["small_north-arrow-filled"]
    assert item.captions == ("north arrow", "north arrow, ui multicolor")
    assert item.fields == {
        "source": "@iconify/json@2.2.535",
        "set": "small",
        "title": "Small Things",
        "name": "north-arrow-filled",
        "license": "MIT",
        "license_url": "https://opensource.org/license/mit",
        "creator": "A. Painter",
        "creator_url": "https://example.org",
        "category": "UI Multicolor",
        "tags": ["map travel"],
    }


def test_hidden_icons_go_and_the_box_comes_from_the_icon_or_its_set(build):
    items, dropped, _ = build(
        {
            "s": (
                {},
                icon_set(
                    {"a": {"body": RED, "left": -2, "width": 24}, "b": {"body": RED, "hidden": True}}, top=3
                ),
            )
        }
    )
    assert dropped == {"s:b": "hidden by its set"}
    assert b'width="24" height="16" viewBox="-2 3 24 16"' in items["s_a"].drawing.content


def test_other_names_are_tags_and_ties_unless_they_turn_the_picture(build):
    aliases = {
        "feline": {"parent": "cat"},
        "kitty-outline": {"parent": "feline"},
        "tac": {"parent": "cat", "hFlip": True},
        "endless": {"parent": "endless"},
    }
    items, _, _ = build({"s": ({}, icon_set({"cat": RED, "dog": RED}, aliases=aliases))})
    assert items["s_cat"].fields["tags"] == ["feline", "kitty"]
    assert items["s_cat"].ties == ("cat", "feline", "kitty")
    assert items["s_dog"].fields["tags"] == []


def test_emoji_are_tied_by_their_code_points_and_named_with_their_skin_tone(build):
    icons = icon_set(
        {"runner-medium-dark": RED, "woman-running": RED},
        chars={"1f3c3-1f3fe": "runner-medium-dark", "1f3c3-200d-2640-fe0f": "woman-running"},
    )
    items, _, _ = build({"e": ({"category": "Emoji"}, icons)})
    assert items["e_runner-medium-dark"].captions[0] == "runner medium dark skin tone"
    assert items["e_runner-medium-dark"].ties == ("runner", "~1f3c3")
    assert items["e_woman-running"].ties == ("running", "~1f3c3")


def test_flags_named_by_codes_get_the_names_that_emoji_have(build):
    emoji = icon_set({"flag-for-germany": RED}, chars={"1f1e9-1f1ea": "flag-for-germany"})
    flags = icon_set({"de-4x3": RED, "xx": RED, "rainbow": RED}, suffixes={"4x3": "Wide"})
    items, dropped, _ = build(
        {"f": ({"category": "Flags / Maps"}, flags), "e": ({"category": "Emoji"}, emoji)}
    )
    assert items["f_de-4x3"].captions == ("flag of germany", "flag of germany, flags")
    assert items["f_rainbow"].captions[0] == "rainbow"
    assert dropped == {"f:xx": "a code that names nothing"}
    assert items["f_de-4x3"].ties[0] == items["e_flag-for-germany"].ties[0]


def test_a_monochrome_icon_comes_in_one_style_a_colour_icon_in_all(build):
    styles = icon_set({"home": RED, "home-filled": RED, "home-24": RED, "car": RED})
    items, dropped, _ = build({"c": ({}, styles), "m": ({"palette": False}, styles)}, monochrome=True)
    assert list(items) == ["c_home", "c_home-filled", "c_home-24", "c_car", "m_home", "m_car"]
    assert set(dropped.values()) == {"another style of a monochrome icon"}


def test_a_package_that_lacks_what_it_lists_is_an_error(tmp_path):
    listed = b'{"gone": {"name": "Gone", "palette": true, "license": {"spdx": "MIT"}}}'
    path = npm_package(tmp_path / "p.tgz", "@iconify/json", "1.0.0", {"collections.json": listed})
    with pytest.raises(SightwordError, match="lists the set 'gone' and does not hold it"):
        read(path)
