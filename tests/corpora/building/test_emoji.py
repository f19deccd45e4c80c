from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_packages import npm_package

from sightword.corpora.building.archives import open_archive
from sightword.corpora.building.emoji import Emoji, plain_code
from sightword.corpora.building.items import Drops

ENGLISH = [
    {
        "hexcode": "1F600",
        "label": "grinning face",
        "emoji": "😀",
        "group": 0,
        "subgroup": 0,
        "tags": ["smile"],
    },
    {"hexcode": "00A9-FE0F", "label": "copyright", "emoji": "©️", "group": 8, "subgroup": 1},
    {"hexcode": "1F3C3", "label": "person running", "emoji": "🏃", "group": 1, "subgroup": 2},
    {"hexcode": "1F3C3-200D-2640-FE0F", "label": "woman running", "emoji": "🏃‍♀️", "group": 1, "subgroup": 2},
    {"hexcode": "1F1E9-1F1EA", "label": "flag: Germany", "emoji": "🇩🇪", "group": 9, "subgroup": 3},
    {"hexcode": "1F3FB", "label": "light skin tone", "emoji": "🏻", "group": 2, "subgroup": 4},
]
GERMAN = [
    {"hexcode": "1F600", "label": "grinsendes Gesicht"},
    {"hexcode": "1F3C3", "label": "laufende Person"},
]
GROUPS = {
    "groups": {"0": "smileys-emotion", "1": "people-body", "2": "component", "8": "symbols", "9": "flags"},
    "subgroups": {str(number): f"sub-{number}" for number in range(5)},
}
WORDS = {
    "en/data.json": json.dumps(ENGLISH).encode(),
    "de/data.json": json.dumps(GERMAN).encode(),
    "meta/groups.json": json.dumps(GROUPS).encode(),
    "en/shortcodes/github.json": json.dumps(
        {"1F600": ["grinning", "happy_face"], "00A9-FE0F": "copyright_sign"}
    ).encode(),
}
FILES = {
    "emojibase-data": WORDS,
    "emoji-datasource-google": {
        "img/google/64/1f600.png": b"g1",
        "img/google/64/00a9-fe0f.png": b"g2",
        "img/google/64/1f3c3-1f3fb.png": b"toned",
        "img/google/sheets/64.png": b"a sheet",
    },
    "emoji-datasource-twitter": {"img/twitter/64/1f3c3-200d-2640-fe0f.png": b"t1"},
    "openmoji": {"color/svg/1F600.svg": b"o1", "black/svg/1F600.svg": b"o2", "color/svg/E050.svg": b"own"},
    "fluentui-emoji": {
        "icons/modern/grinning-face.svg": b"f1",
        "icons/modern/person-running-default.svg": b"f2",
        "icons/modern/person-running-medium-light.svg": b"toned",
        "icons/flat/happy-face.svg": b"f3",
        "icons/high-contrast/strange-thing.svg": b"f4",
    },
    "@lobehub/fluent-emoji-3d": {
        "assets/1f600.webp": b"l1",
        "assets/a9.webp": b"l2",
        "assets/a9-fe0f.webp": b"l3",
    },
}


@pytest.fixture
def archives(tmp_path):
    made = (
        npm_package(tmp_path / f"{n}.tgz", name, "1.0.0", files)
        for n, (name, files) in enumerate(FILES.items())
    )
    return {archive.package: archive for archive in map(open_archive, made)}


@pytest.fixture
def read(archives):
    def reader(**options):
        drops = Drops()
        corpus = Emoji(**options)
        assert {package.name for package in corpus.packages} <= set(archives)
        return {item.key: item for item in corpus.items(archives, drops)}, dict(drops.rows)

    return reader


def test_every_artists_drawing_of_an_emoji_is_found_however_its_file_is_named(read):
    items, dropped = read()
    assert {key: item.drawing.content for key, item in items.items()} == {
        "1f600_google": b"g1",
        "a9_google": b"g2",
        "1f3c3-200d-2640_twitter": b"t1",
        "1f600_fluent": b"f1",
        "1f3c3_fluent": b"f2",
        "1f600_fluentflat": b"f3",
        "1f600_fluent3d": b"l1",
        "a9_fluent3d": b"l2",
        "1f600_openmoji": b"o1",
        "1f600_openmojiblack": b"o2",
    }
    assert dropped == {
        "google:1f3c3-1f3fb": "skin tone of another emoji",
        "fluent:person-running-medium-light": "skin tone of another emoji",
        "fluentcontrast:strange-thing": "no emoji that emojibase knows",
        "fluent3d:a9-fe0f": "another file of the same emoji",
        "openmoji:E050": "no emoji that emojibase knows",
    }


def test_words_and_licences_come_with_each(read):
    items, _ = read()
    fields = items["1f600_openmoji"].fields
    assert items["1f600_openmoji"].captions == ("grinning face",)
    assert fields["i18n"] == {"de": "grinsendes Gesicht"}
    assert (fields["tags"], fields["group"], fields["subgroup"]) == (["smile"], "smileys-emotion", "sub-0")
    assert (fields["license"], fields["vendor"], fields["source"]) == (
        "CC-BY-SA-4.0",
        "openmoji",
        "openmoji@1.0.0",
    )
    assert fields["words"] == "emojibase-data@1.0.0 (MIT)"
    assert items["a9_google"].fields["i18n"] == {}
    assert items["a9_google"].fields["license"] == "Apache-2.0"


def test_share_alike_artists_can_be_left_out(read, archives):
    assert "openmoji" not in {package.name for package in Emoji(share_alike=False).packages}
    del archives["openmoji"]
    items, _ = read(share_alike=False)
    assert {item.fields["license"] for item in items.values()} == {"MIT", "Apache-2.0", "CC-BY-4.0"}


def test_genders_are_tied_and_flags_are_not_one_family(read):
    items, _ = read()
    assert items["1f3c3-200d-2640_twitter"].ties == items["1f3c3_fluent"].ties == ("running", "~1f3c3")
    assert items["1f600_google"].ties == items["1f600_fluent3d"].ties


@given(st.lists(st.integers(0x23, 0x1FFFF).filter(lambda point: point != 0xFE0F), min_size=1, max_size=6))
def test_code_points_read_the_same_in_every_spelling(points):
    one = "-".join(f"{point:04X}" for point in points)
    two = "_".join(f"{point:x}" for point in points) + "-fe0f"
    assert plain_code(one) == plain_code(two)
    assert [int(part, 16) for part in plain_code(one).split("-")] == points
