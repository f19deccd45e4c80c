"""Clip art: what people gave to the Open Clip Art Library, packed by Debian, in their own words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import final
from xml.etree import ElementTree

from sightword.corpora.building.archives import Archive
from sightword.corpora.building.drawing import Drawing
from sightword.corpora.building.fetch import Package
from sightword.corpora.building.items import Corpus, Drops, Item
from sightword.corpora.building.licences import refused
from sightword.corpora.building.names import concept, words
from sightword.corpora.building.svg import why_not

_PACKAGE = Package("apt", "openclipart-svg")
_FOLDER = "usr/share/openclipart/svg/"
_GENERATED = {
    "shapes/stars/": "generated star",
    "special/gradients/": "gradient",
    "special/patterns/": "pattern",
    "shapes/jigsaw/": "jigsaw",
}
_MOST_SHARED = 7  # files with one title; above, it is the title of a collection
_PUBLIC_DOMAIN = "CC-PDDC"  # SPDX's name for Creative Commons' public domain dedication
_PAPERS = "https://creativecommons.org/licenses/publicdomain/"
_NO_WORDS = re.compile(
    r"hash(\(0x\w+\))?|unsorted|theme|created with \S+|https?://\S+|\S+@\S+", re.IGNORECASE
)
_DC, _RDF, _CC = (
    "{http://purl.org/dc/elements/1.1/}",
    "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}",
    re.compile(r"\{http://(web\.resource\.org/cc|creativecommons\.org/ns#?)/?\}"),
)


@dataclass(frozen=True)
class _Drawing:
    """One file and what it says of itself."""

    path: PurePosixPath
    content: bytes
    title: str
    creator: str
    description: str
    keywords: tuple[str, ...]
    license: str


@final
@dataclass(frozen=True)
class ClipArt(Corpus):
    """Drawings in the public domain, captioned by their titles, or by their files' names."""

    @property
    def packages(self) -> tuple[Package, ...]:
        return (_PACKAGE,)

    def items(self, archives: Mapping[str, Archive], drops: Drops) -> Iterator[Item]:
        archive = archives[_PACKAGE.name]
        found = list(_drawings(archive, drops))
        shared = Counter(drawing.title.lower() for drawing in found)
        for drawing in found:
            name = _own_words(drawing) if shared[drawing.title.lower()] <= _MOST_SHARED else ""
            caption = _caption(name) or _caption(_stem(drawing))
            if caption:
                yield _item(drawing, caption, archive.source)
            else:
                drops.add(str(drawing.path), "no words")


def _drawings(archive: Archive, drops: Drops) -> Iterator[_Drawing]:
    for member in archive.members(lambda name: name.startswith(_FOLDER) and name.endswith(".svg")):
        path = member.name.removeprefix(_FOLDER)
        reason = next((why for start, why in _GENERATED.items() if path.startswith(start)), "")
        reason = reason or ("a link to another file" if member.link else why_not(member.content))
        if not reason:
            drawing = _read(PurePosixPath(path), member.content)
            reason = refused(drawing.license, share_alike=False)
        if reason:
            drops.add(path, reason)
        else:
            yield drawing


def _read(path: PurePosixPath, svg: bytes) -> _Drawing:
    """What is written in the file. It has been looked over: there is no entity to expand."""
    root = ElementTree.fromstring(svg)
    work = next((each for each in root.iter() if _CC.sub("", each.tag) == "Work"), ElementTree.Element(""))

    def text(where: str) -> str:
        found = (" ".join("".join(each.itertext()).split()) for each in work.findall(where))
        return next((one for one in found if one and not _NO_WORDS.fullmatch(one)), "")

    given = [each.get(f"{_RDF}resource", "") for each in work if _CC.sub("", each.tag) == "license"]
    terms = given[0] if given else ""
    keywords = (words(each.text or "") for each in work.iter(f"{_RDF}li"))
    return _Drawing(
        path=path,
        content=svg,
        title=text(f"{_DC}title"),
        creator=text(f"{_DC}creator"),
        description=text(f"{_DC}description"),
        keywords=tuple(dict.fromkeys(word for word in keywords if word and not _NO_WORDS.fullmatch(word))),
        license=_PUBLIC_DOMAIN if "publicdomain" in terms.lower() else terms,
    )


def _item(drawing: _Drawing, caption: str, source: str) -> Item:
    collection = drawing.title if _caption(drawing.title) != caption else ""
    fields = {
        "source": source,
        "set": str(drawing.path.parent),
        "title": "Open Clip Art Library",
        "name": str(drawing.path),
        "license": drawing.license,
        "license_url": _PAPERS,
        "creator": drawing.creator,
        "category": words(drawing.path.parts[0]),
        "tags": [word for word in drawing.keywords if word != caption],
        **({"collection": collection} if collection else {}),
    }
    more = drawing.description if words(drawing.description).strip(" .!") != caption else ""
    key = re.sub(r"[^\w-]+", "_", str(drawing.path.with_suffix("")))
    captions = (caption, more) if more else (caption,)
    return Item(key, captions, fields, (concept(caption),), Drawing(drawing.content, crop=True))


def _own_words(drawing: _Drawing) -> str:
    """The title without "Clipart by SOMEBODY - " before it."""
    by = rf"clip ?art by ({re.escape(drawing.creator) or '.*? -'}|.*? -)[\s-]*"
    return re.sub(by, "", drawing.title, count=1, flags=re.IGNORECASE)


def _caption(name: str) -> str:
    """A title in words, without the number that tells apart drawings of one thing."""
    return re.sub(r"(?<=[a-z]{2}) ?\d{1,3}$", "", words(name))


def _stem(drawing: _Drawing) -> str:
    """A file's name without its author: uploads were named TITLE_AUTHOR_NUMBER, the author cut short."""
    stem = re.sub(r"_\d*$", "", drawing.path.stem.lower())
    author = re.sub(r"\W+", "_", drawing.creator.lower()).strip("_")
    for length in range(len(author), 3, -1):
        if stem.endswith(f"_{author[:length]}"):
            return stem[: -length - 1]
    return stem
