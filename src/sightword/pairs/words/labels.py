"""Captions for pictures that were labelled: the label, often with tags, at times in other languages.

Zero-shot evaluation asks for a picture by its label, so the label must stay the likeliest caption: it
comes alone in half of the draws, and first in every caption with tags. A tag never comes alone. One tag
("face", "food") fits hundreds of samples, and a contrastive loss would take all but one of them for
mismatches; behind the label, one to three tags bring synonyms to the text tower and leave the caption as
specific as it was. Other languages come alone, as they would be asked for alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightword.pairs.sample import Text

_MOST_TAGS = 3
DRAWS = 2 + _MOST_TAGS  # uniform numbers that a choice needs


def texts_of(sample: Text, languages: bool) -> list[str]:
    """The label, its tags and, if wanted, its other languages; none twice."""
    return list(dict.fromkeys([sample.caption, *_tags(sample.fields), *_languages(sample.fields, languages)]))


def choose(sample: Text, languages: bool, numbers: list[float]) -> str:
    """One caption, by `DRAWS` numbers in [0, 1)."""
    form, which, *picks = numbers
    tags, others = _tags(sample.fields), _languages(sample.fields, languages)
    if form < 0.5 or not (tags or others):
        return sample.caption
    if not tags or (others and form >= 0.75):
        return others[int(which * len(others))]
    return ", ".join([sample.caption, *_some(tags, 1 + int(which * _MOST_TAGS), picks)])


def _some(tags: list[str], count: int, picks: list[float]) -> list[str]:
    """`count` different tags in random order, or all there are."""
    rest = list(tags)
    return [rest.pop(int(pick * len(rest))) for pick in picks[: min(count, len(rest))]]


def _tags(fields: Mapping[str, Any]) -> list[str]:
    found = fields.get("tags")
    return _texts(found.split(",") if isinstance(found, str) else found)


def _languages(fields: Mapping[str, Any], wanted: bool) -> list[str]:
    found = fields.get("i18n") if wanted else None
    return _texts([found[language] for language in sorted(found)]) if isinstance(found, dict) else []


def _texts(values: object) -> list[str]:
    """The entries that say something; a stranger's json may hold anything."""
    entries = values if isinstance(values, list) else []
    return [entry.strip() for entry in entries if isinstance(entry, str) and entry.strip()]
