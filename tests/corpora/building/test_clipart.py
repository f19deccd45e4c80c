from __future__ import annotations

import pytest
from small_packages import deb_package

from sightword.corpora.building.archives import open_archive
from sightword.corpora.building.clipart import ClipArt
from sightword.corpora.building.items import Drops

FREE = "http://web.resource.org/cc/PublicDomain"


def drawing(
    title="", creator="", words=(), description="", terms=FREE, body='<path d="M0 0h9v9z"/>', before=""
) -> bytes:
    keywords = "".join(f"<rdf:li>{word}</rdf:li>" for word in words)
    return f"""<?xml version="1.0"?>{before}
    <svg xmlns="http://www.w3.org/2000/svg" xmlns:cc="http://web.resource.org/cc/"
      xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <metadata><rdf:RDF><cc:Work rdf:about="">
      <dc:title>{title}</dc:title><dc:description>{description}</dc:description>
      <dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>
      <dc:publisher><cc:Agent><dc:title>Library</dc:title></cc:Agent></dc:publisher>
      <dc:creator><cc:Agent><dc:title>{creator}</dc:title></cc:Agent></dc:creator>
      <cc:license rdf:resource="{terms}"/>
    </cc:Work></rdf:RDF></metadata>{body}</svg>""".encode()


@pytest.fixture
def read(tmp_path):
    def reader(files, links=None):
        where = {f"usr/share/openclipart/svg/{name}.svg": data for name, data in files.items()}
        path = deb_package(
            tmp_path / "c.deb", "openclipart-svg", "1:0.18", where,
            {f"usr/share/openclipart/svg/{name}.svg": target for name, target in (links or {}).items()},
        )  # fmt: skip
        drops, archive = Drops(), open_archive(path)
        items = list(ClipArt().items({archive.package: archive}, drops))
        return {item.fields["name"].removesuffix(".svg"): item for item in items}, dict(drops.rows)

    return reader


def test_a_drawing_speaks_for_itself(read):
    svg = drawing("Purple Hat 2", "Nicu B", ["hat", "", "hash", "head_gear", "purple hat"], "A hat to wear.")
    items, dropped = read({"people/clothing/purple_hat_nicu_b_01": svg})
    item = items["people/clothing/purple_hat_nicu_b_01"]
    assert item.captions == ("purple hat", "A hat to wear.")
    assert item.key == "people_clothing_purple_hat_nicu_b_01"
    assert item.drawing.crop
    assert item.drawing.content == svg
    assert item.ties == ("purple hat",)
    assert not dropped
    found = {name: item.fields[name] for name in ("license", "creator", "category", "set", "tags", "source")}
    assert found == {
        "license": "CC-PDDC",
        "creator": "Nicu B",
        "category": "people",
        "set": "people/clothing",
        "tags": ["hat", "head gear"],
        "source": "openclipart-svg@1:0.18",
    }


def test_generated_and_unusable_drawings_are_left_out_by_name(read):
    entity = '<!DOCTYPE svg [<!ENTITY a "b">]>'
    _, dropped = read(
        {
            "shapes/stars/star_5": drawing("gramastar"),
            "special/gradients/blue": drawing("blue"),
            "special/patterns/dots": drawing("dots"),
            "shapes/jigsaw/one": drawing("puzzle"),
            "a/gpl": drawing("gpl", terms="http://creativecommons.org/licenses/GPL/2.0/"),
            "a/unknown": drawing("unknown", terms=""),
            "a/text": drawing("text", body="<text>hello</text>"),
            "a/entity": drawing("entity", before=entity),
            "a/broken": b"<svg",
            "a/1": drawing("", body="<g/>"),
        },
        links={"a/link": "text.svg"},
    )
    assert dropped == {
        "shapes/stars/star_5.svg": "generated star",
        "special/gradients/blue.svg": "gradient",
        "special/patterns/dots.svg": "pattern",
        "shapes/jigsaw/one.svg": "jigsaw",
        "a/gpl.svg": "licence http://creativecommons.org/licenses/GPL/2.0/",
        "a/unknown.svg": "licence unknown",
        "a/text.svg": "holds text, which looks different on every machine",
        "a/entity.svg": "declares entities",
        "a/broken.svg": "not XML",
        "a/link.svg": "a link to another file",
    }


def test_a_title_that_many_share_is_a_collections_and_the_files_name_is_used(read):
    files = {f"icons/{name}": drawing("Flat Icons", "Danny Allen") for name in "abcdefg"}
    assert {item.captions for item in read(files)[0].values()} == {("flat icons",)}
    more = files | {"icons/mail_send_danny_all_02": drawing("Flat Icons", "Danny Allen")}
    items, _ = read(more)
    assert items["icons/mail_send_danny_all_02"].captions == ("mail send",)
    assert items["icons/mail_send_danny_all_02"].fields["collection"] == "Flat Icons"
    assert items["icons/a"].captions == ("a",)


@pytest.mark.parametrize(
    ("title", "description", "wanted"),
    [
        ("", "", ("red apple",)),
        ("HASH(0x8a41038)", "Created with Inkscape", ("red apple",)),
        ("Clipart by Anna - Green Pear", "me@example.org", ("green pear",)),
        ("glace_4", "Glace!", ("glace",)),
        ("bee1", "", ("bee",)),
        ("747", "", ("747",)),
    ],
)
def test_words_that_name_nothing_are_no_captions(read, title, description, wanted):
    items, _ = read({"food/red_apple_anna_01": drawing(title, "Anna", description=description)})
    assert items["food/red_apple_anna_01"].captions == wanted
