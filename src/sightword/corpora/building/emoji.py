"""Emoji: one concept drawn by up to eight artists, labelled in many languages by emojibase."""

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
from sightword.corpora.building.names import concept, words

_WORDS = Package("npm", "emojibase-data", "17.0.0")
_LANGUAGE = re.compile(r"([a-z-]+)/data\.json")
_SHORTCODES = re.compile(r"en/shortcodes/[a-z-]+\.json")
_GROUPS = "meta/groups.json"
_TONE = re.compile(r"-(medium-light|medium-dark|light|medium|dark)\b.*")
_TONED = re.compile(r"(^|-)1f3f[b-f]\b")
_CODE_POINTS = re.compile(r"[0-9a-f]{2,5}([-_][0-9a-f]{2,5})*")
_GENDER = re.compile(r"-200d-264[02]")
_COMPONENTS = "component"  # skin tones and hair by themselves


@dataclass(frozen=True)
class _Artist:
    """Where a package keeps one artist's drawings."""

    vendor: str
    title: str
    creator: str
    creator_url: str
    license: str
    license_url: str
    package: Package
    files: re.Pattern[str]  # the first group is the emoji, as code points or as a name


_APACHE = "Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"
_BY = "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"
_BY_SA = "CC-BY-SA-4.0", "https://creativecommons.org/licenses/by-sa/4.0/"
_MIT = "MIT", "https://github.com/microsoft/fluentui-emoji/blob/main/LICENSE"
_NOTO = "Google", "https://github.com/googlefonts/noto-emoji", *_APACHE
_TWEMOJI = "Twitter and other contributors", "https://github.com/jdecked/twemoji", *_BY
_OPENMOJI = "OpenMoji", "https://openmoji.org", *_BY_SA
_FLUENT = "Microsoft Corporation", "https://github.com/microsoft/fluentui-emoji", *_MIT
_IN_GOOGLE = Package("npm", "emoji-datasource-google", "16.0.0")
_IN_TWITTER = Package("npm", "emoji-datasource-twitter", "16.0.0")
_IN_OPENMOJI = Package("npm", "openmoji", "17.0.0")
_IN_FLUENT = Package("npm", "fluentui-emoji", "1.3.0")
_IN_3D = Package("npm", "@lobehub/fluent-emoji-3d", "1.1.0")
_ARTISTS = (
    _Artist("google", "Noto Emoji", *_NOTO, _IN_GOOGLE, re.compile(r"img/google/64/(.+)\.png")),
    _Artist("twitter", "Twemoji", *_TWEMOJI, _IN_TWITTER, re.compile(r"img/twitter/64/(.+)\.png")),
    _Artist("fluent", "Fluent Emoji", *_FLUENT, _IN_FLUENT, re.compile(r"icons/modern/(.+)\.svg")),
    _Artist("fluentflat", "Fluent Emoji Flat", *_FLUENT, _IN_FLUENT, re.compile(r"icons/flat/(.+)\.svg")),
    _Artist(
        "fluentcontrast", "Fluent Emoji Contrast", *_FLUENT, _IN_FLUENT,
        re.compile(r"icons/high-contrast/(.+)\.svg"),
    ),
    _Artist("fluent3d", "Fluent Emoji 3D", *_FLUENT, _IN_3D, re.compile(r"assets/(.+)\.webp")),
    _Artist("openmoji", "OpenMoji", *_OPENMOJI, _IN_OPENMOJI, re.compile(r"color/svg/(.+)\.svg")),
    _Artist(
        "openmojiblack", "OpenMoji Black", *_OPENMOJI, _IN_OPENMOJI,
        re.compile(r"black/svg/(.+)\.svg"),
    ),
)  # fmt: skip


@final
@dataclass(frozen=True)
class Emoji(Corpus):
    """Every emoji in every style; skin tones are left out, since they are one concept."""

    share_alike: bool = True

    @property
    def packages(self) -> tuple[Package, ...]:
        return (_WORDS, *dict.fromkeys(artist.package for artist in self._artists))

    @property
    def _artists(self) -> tuple[_Artist, ...]:
        return tuple(artist for artist in _ARTISTS if self.share_alike or "-SA-" not in artist.license)

    def items(self, archives: Mapping[str, Archive], drops: Drops) -> Iterator[Item]:
        known = _Known.read(archives[_WORDS.name])
        for artist in self._artists:
            yield from self._drawn_by(artist, archives[artist.package.name], known, drops)

    def _drawn_by(self, artist: _Artist, archive: Archive, known: _Known, drops: Drops) -> Iterator[Item]:
        seen = set[str]()
        for member in archive.members(lambda name: bool(artist.files.fullmatch(name))):
            name = artist.files.fullmatch(member.name)[1]  # type: ignore[index]  # as it was asked for
            code, key = known.code_of(name), f"{artist.vendor}:{name}"
            if _TONED.search(code) or (not code and known.code_of(_TONE.sub("", name))):
                drops.add(key, "skin tone of another emoji")
            elif code not in known.entries:
                drops.add(key, "no emoji that emojibase knows")
            elif code in seen:
                drops.add(key, "another file of the same emoji")
            else:
                seen.add(code)
                yield known.item(code, artist, archive, name, member.content)


@final
@dataclass(frozen=True)
class _Known:
    """What emojibase says of emoji, by their code points."""

    source: str
    entries: Mapping[str, Mapping[str, Any]]
    labels: Mapping[str, Mapping[str, str]]  # by language, then by code points
    groups: Mapping[str, str]
    subgroups: Mapping[str, str]
    codes: Mapping[str, str]  # code points by name

    @classmethod
    def read(cls, archive: Archive) -> _Known:
        files = {
            member.name: json.loads(member.content)
            for member in archive.members(
                lambda name: bool(name == _GROUPS or _LANGUAGE.fullmatch(name) or _SHORTCODES.fullmatch(name))
            )
        }
        languages = {found[1]: files[name] for name in sorted(files) if (found := _LANGUAGE.fullmatch(name))}
        english, groups = languages.pop("en"), files[_GROUPS]
        entries = {
            plain_code(entry["hexcode"]): entry
            for entry in english
            if groups["groups"].get(str(entry.get("group")), _COMPONENTS) != _COMPONENTS
        }
        codes = {_slug(entry["label"]): code for code, entry in entries.items()}
        for name in filter(_SHORTCODES.fullmatch, sorted(files)):
            for code, short in files[name].items():
                for one in [short] if isinstance(short, str) else short:
                    codes.setdefault(_slug(one), plain_code(code))
        labels = {
            language: {plain_code(entry["hexcode"]): entry["label"] for entry in listed}
            for language, listed in languages.items()
        }
        return cls(archive.source, entries, labels, groups["groups"], groups["subgroups"], codes)

    def code_of(self, name: str) -> str:
        """Code points of a file's name, which spells them out or is the emoji's name."""
        slug = _slug(name).removesuffix("-default")
        spelt = _CODE_POINTS.fullmatch(name.lower()) and slug not in self.codes
        if spelt or plain_code(name) in self.entries:
            return plain_code(name)
        return self.codes.get(slug) or self.codes.get(slug.removeprefix("person-"), "")

    def item(self, code: str, artist: _Artist, archive: Archive, name: str, content: bytes) -> Item:
        entry = self.entries[code]
        fields = {
            "source": archive.source,
            "set": artist.vendor,
            "vendor": artist.vendor,
            "title": artist.title,
            "name": name,
            "creator": artist.creator,
            "creator_url": artist.creator_url,
            "license": artist.license,
            "license_url": artist.license_url,
            "words": f"{self.source} (MIT)",
            "emoji": entry["emoji"],
            "group": self.groups[str(entry["group"])],
            "subgroup": self.subgroups[str(entry["subgroup"])],
            "tags": list(entry.get("tags", ())),
            "i18n": {language: known[code] for language, known in self.labels.items() if code in known},
        }
        named = concept(words(re.sub(r"[:,“”]", " ", entry["label"])))
        ties = named, f"~{_GENDER.sub('', code)}"
        return Item(f"{code}_{artist.vendor}", (entry["label"],), fields, ties, Drawing(content))


def plain_code(code: str) -> str:
    """Code points as emojibase, artists and Iconify all agree: lower case, no leading zeros, no FE0F."""
    points = re.split(r"[-_ ]", code.lower())
    return "-".join(point.lstrip("0") for point in points if point != "fe0f")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub("['\u2019]", "", name.lower())).strip("-")
