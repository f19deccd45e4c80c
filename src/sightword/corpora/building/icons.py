"""Icons: the sets that Iconify gathers, each under its own licence, captioned by their names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from sightword.corpora.building.archives import Archive
from sightword.corpora.building.drawing import Drawing
from sightword.corpora.building.fetch import Package
from sightword.corpora.building.items import Corpus, Drops, Item
from sightword.corpora.building.licences import refused
from sightword.corpora.building.names import concept, without_prefix, without_style, words
from sightword.errors import SightwordError

_PACKAGE = Package("npm", "@iconify/json", "2.2.535")
_FILES = re.compile(r"json/([a-z0-9-]+)\.json")
_PAGE = 16  # pixels, where a set does not say (Iconify's own default)
_VARIANTS = re.compile(r"-(fe0f|1f3f[b-f]|200d-264[02])(?=-|$)")  # looks, skin tones and genders of an emoji
_SKIN_TONE = re.compile(r"1f3f[b-f]")
_LETTER = 0x1F1E6  # regional indicator A
# Numbers there are names ("html-5"), elsewhere they tell apart several drawings of one thing ("atom-2").
_NUMBERS_MEAN = ("Logos", "Programming", "Flags / Maps")
_FLAGS = "Flags / Maps"


@final
@dataclass(frozen=True)
class Icons(Corpus):
    """Colour sets first, in the order of the package's list; then, if wanted, the others."""

    monochrome: bool = False
    share_alike: bool = False

    @property
    def packages(self) -> tuple[Package, ...]:
        return (_PACKAGE,)

    def items(self, archives: Mapping[str, Archive], drops: Drops) -> Iterator[Item]:
        archive = archives[_PACKAGE.name]
        wanted = self._wanted(json.loads(archive.read("collections.json")), drops)
        found = dict[str, dict[str, Any]]()
        for member in archive.members(lambda name: _set_name(name) in wanted):
            found[_set_name(member.name)] = json.loads(member.content)
        countries = _countries(found.values())
        for prefix, info in wanted.items():
            if prefix not in found:
                raise SightwordError(f"'{archive.path}' lists the set '{prefix}' and does not hold it")
            yield from _Set(prefix, info, found.pop(prefix), archive.source, countries, drops).items()

    def _wanted(self, listed: Mapping[str, Any], drops: Drops) -> dict[str, Any]:
        """The sets that may be used, colour before monochrome."""
        kept = dict[str, Any]()
        for prefix, info in sorted(listed.items(), key=lambda pair: not pair[1].get("palette")):
            if not info.get("palette") and not self.monochrome:
                continue
            reason = refused(info.get("license", {}).get("spdx", ""), self.share_alike)
            if info.get("hidden"):
                reason = "a set that its package hides"
            if reason:
                for number in range(int(info.get("total", 0))):
                    drops.add(f"{prefix}:#{number}", reason)
            else:
                kept[prefix] = info
        return kept


@final
@dataclass(frozen=True)
class _Set:
    """One set of icons."""

    prefix: str
    info: Mapping[str, Any]
    data: Mapping[str, Any]
    source: str
    countries: Mapping[str, str]
    drops: Drops

    def items(self) -> Iterator[Item]:
        aliases, codes, groups = self._aliases(), self._codes(), self._groups()
        seen = set[str]()
        for name, icon in self.data["icons"].items():
            key = f"{self.prefix}:{name}"
            caption = self._caption(name)
            if "skin tone" not in caption and any(map(_SKIN_TONE.search, codes.get(name, ()))):
                caption += " skin tone"
            if icon.get("hidden"):
                self.drops.add(key, "hidden by its set")
            elif not caption:
                self.drops.add(key, "a code that names nothing")
            elif not self.info.get("palette") and caption in seen:
                self.drops.add(key, "another style of a monochrome icon")
            else:
                seen.add(caption)
                also = list(dict.fromkeys(self._caption(alias) for alias in aliases.get(name, ())))
                tags = [word for word in [*also, *groups.get(name, ())] if word and word != caption]
                yield self._item(name, icon, caption, tags, also, codes.get(name, ()))

    def _item(
        self, name: str, icon: Any, caption: str, tags: list[str], also: list[str], codes: tuple[str, ...]
    ) -> Item:
        category = self.info.get("category") or "Icons"
        fields = {
            "source": self.source,
            "set": self.prefix,
            "title": self.info["name"],
            "name": name,
            "license": self.info["license"]["spdx"],
            "license_url": self.info["license"].get("url", ""),
            "creator": self.info.get("author", {}).get("name", ""),
            "creator_url": self.info.get("author", {}).get("url", ""),
            "category": category,
            "tags": tags,
        }
        named = (concept(text) for text in (caption, *also) if text)
        ties = tuple(dict.fromkeys((*named, *(f"~{_VARIANTS.sub('', code)}" for code in codes))))
        captions = (caption, f"{caption}, {words(category.split(' / ')[0])}")
        return Item(f"{self.prefix}_{name}", captions, fields, ties, Drawing(self._svg(icon)))

    def _caption(self, name: str) -> str:
        category = self.info.get("category") or ""
        plain = without_prefix(name, self.data.get("prefixes") or ())
        plain = without_style(plain, self.data.get("suffixes") or (), category not in _NUMBERS_MEAN)
        if category != _FLAGS or len(max(plain.split(), key=len, default="")) > 3:
            return plain
        return self.countries.get(plain, "")

    def _svg(self, icon: Mapping[str, Any]) -> bytes:
        """Iconify keeps what is inside of `<svg>`; the box may stand in the icon or in its set."""
        left, top, width, height = (
            icon.get(side, self.data.get(side, default))
            for side, default in (("left", 0), ("top", 0), ("width", _PAGE), ("height", _PAGE))
        )
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'width="{width}" height="{height}" viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
        ).encode()

    def _aliases(self) -> dict[str, list[str]]:
        """Other names of an icon; an alias that turns or flips it is another picture, and not used."""
        listed = self.data.get("aliases") or {}
        found = dict[str, list[str]]()
        for alias, entry in listed.items():
            parent, steps = entry, 0
            while parent is not None and set(parent) <= {"parent", "hidden"} and steps <= len(listed):
                name, steps = parent["parent"], steps + 1
                if name in self.data["icons"]:
                    found.setdefault(name, []).append(alias)
                    break
                parent = listed.get(name)
        return found

    def _codes(self) -> dict[str, tuple[str, ...]]:
        """Code points of the emoji that icons draw."""
        found = dict[str, tuple[str, ...]]()
        if self.info.get("category") == "Emoji":
            for code, name in (self.data.get("chars") or {}).items():
                found[name] = (*found.get(name, ()), code.lower())
        return found

    def _groups(self) -> dict[str, list[str]]:
        """In which groups of its set an icon stands."""
        found = dict[str, list[str]]()
        for group, names in (self.data.get("categories") or {}).items():
            for name in names:
                found.setdefault(name, []).append(words(group))
        return found


def _set_name(file: str) -> str:
    found = _FILES.fullmatch(file)
    return found[1] if found else ""


def _countries(sets: Any) -> dict[str, str]:
    """`{"de": "flag of germany"}`, from how emoji sets name the flags that are two letters."""
    found = dict[str, str]()
    for data in sets:
        for code, name in (data.get("chars") or {}).items():
            letters = [int(part, 16) - _LETTER for part in code.split("-")]
            if len(letters) == 2 and all(0 <= letter < 26 for letter in letters) and name.startswith("flag-"):
                country = words(name.removeprefix("flag-").removeprefix("for-"))
                found.setdefault("".join(chr(ord("a") + letter) for letter in letters), f"flag of {country}")
    return found
