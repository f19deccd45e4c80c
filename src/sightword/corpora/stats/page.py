"""One self-contained HTML page about a corpus, drawn from its record alone (and the pictures it names)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from sightword.corpora.stats.page_captions import captions, false_negatives
from sightword.corpora.stats.page_pictures import colours, pictures
from sightword.corpora.stats.pieces import columns, shares, with_code
from sightword.corpora.stats.record import Shown, Stats
from sightword.corpora.stats.says import size
from sightword.corpora.stats.sheet import RANDOM, UNREADABLE
from sightword.report.markup import Markup, document, join, tag
from sightword.report.phrases import capital
from sightword.report.sections import Section
from sightword.report.sections import render as rendered


def render(found: Stats, tiles: Mapping[int, str]) -> Markup:
    """The whole page.

    Args:
        found: the record.
        tiles: for each number on the contact sheet that can be read a small picture as a data URI.
    """
    parts = [
        _random(found, tiles),
        pictures(found),
        colours(found.pictures),
        captions(found.captions),
        false_negatives(found.captions),
        _extremes(found, tiles),
        _source(found),
    ]
    title = f"What \u201c{found.about.source}\u201d looks like"
    made = (
        f"Made by sightword {found.version} in {found.seconds:.0f} s. "
        "The file of the same name that ends in .json holds the same numbers."
    )
    body = [_header(title, found, parts), tag("main", *map(rendered, parts)), tag("footer", tag("p", made))]
    return document(title, body, ["page.css", "stats.css"])


def _header(title: str, found: Stats, parts: Sequence[Section]) -> Markup:
    links = (tag("a", part.title, href=f"#{part.anchor}") for part in parts if part.body)
    return tag(
        "header",
        tag("p", "sightword data stats", class_="eyebrow"),
        tag("h1", title),
        tag("h2", "What this says", class_="says-title"),
        tag("ul", *(tag("li", with_code(line)) for line in found.says), class_="says-list"),
        tag("nav", *links, aria_label="parts of this page"),
    )


def _random(found: Stats, tiles: Mapping[int, str]) -> Section:
    shown = [one for one in found.shown if one.group == RANDOM]
    lead = (
        f"{len(shown)} of the {found.pictures.readable:,} pictures that were read, drawn by lot "
        f"(seed {found.seed}), with their first captions."
    )
    if not shown:
        return Section("sample", RANDOM, "", Markup(""), "No picture could be read.")
    return Section("sample", RANDOM, lead, _sheet(shown, tiles))


def _extremes(found: Stats, tiles: Mapping[int, str]) -> Section:
    groups = groupby((one for one in found.shown if one.group != RANDOM), lambda one: one.group)
    strata = (
        tag("div", tag("h3", group), _sheet(list(shown), tiles), class_="stratum") for group, shown in groups
    )
    return Section("extremes", "The extremes", "What stands out among all that was looked at.", join(strata))


def _sheet(shown: Sequence[Shown], tiles: Mapping[int, str]) -> Markup:
    return tag("ul", *(_tile(one, tiles.get(one.number)) for one in shown), class_="sheet")


def _tile(one: Shown, picture: str | None) -> Markup:
    if picture is not None:
        image = tag("img", src=picture, alt=one.caption or one.key, class_="tile", loading="lazy")
    else:
        image = tag("span", "no picture", class_="tile empty")
    note = tag("small", one.note, class_="why" if one.group == UNREADABLE else None)
    said = tag("p", one.caption or "(no caption)", title=one.key, dir="auto")
    return tag("li", image, said, note)


def _source(found: Stats) -> Section:
    at, looked = found.about, found.pictures.sample
    where = "; from a few whole shards, since they lie elsewhere" if at.remote else ""
    facts = {
        "source": at.source,
        "split": at.split or "all",
        "pairs": f"{at.pairs:,}",
        "shards or blocks": f"{at.blocks:,} of {at.smallest_block:,} to {at.largest_block:,} pairs",
        "bytes of pictures": size(found.pictures.bytes_total) + ("" if looked == at.pairs else ", estimated"),
        "data hash": at.data_hash,
        "looked at": f"{looked:,} pictures, captions of {found.captions.pairs:,}, seed {found.seed}{where}",
    }
    facts |= {f"left out: {reason.replace('_', ' ')}": f"{count:,}" for reason, count in at.left_out.items()}
    listed = tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in facts.items()))
    notes = tag("ul", *(tag("li", capital(note)) for note in at.notes)) if at.notes else ""
    known = {"Splits": found.captions.splits, "What else is known of a pair": found.captions.fields}
    tables = [shares(title, counts, found.captions.pairs) for title, counts in known.items() if counts]
    return Section("about", "The source", "", join([listed, notes, columns(tables)]))
