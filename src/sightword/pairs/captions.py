"""Floor 3. Which words go with a picture this time: a pure function of (seed, sample id, epoch, draw).

Zero-shot evaluation asks for a picture by its label, so the label must stay the likeliest caption: it
comes alone in half of the draws, and first in every caption with tags. A tag never comes alone. One tag
("face", "food") fits hundreds of samples, and a contrastive loss would take all but one of them for
mismatches; behind the label, one to three tags bring synonyms to the text tower and leave the caption as
specific as it was. Other languages come alone, as they would be asked for alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from sightword.config import CaptionPolicy
from sightword.pairs.sample import Text
from sightword.randomness import stream, uniform

_MOST_TAGS = 3
_PURPOSE = "caption"


def captions_of(sample: Text, policy: CaptionPolicy) -> list[str]:
    """Every text that `choose` may use for a sample, the label first, none twice."""
    tags = _tags(sample.fields) if policy != "label" else []
    return list(dict.fromkeys([sample.caption, *tags, *_languages(sample.fields, policy)]))


def choose(sample: Text, policy: CaptionPolicy, seed: int, id: int, epoch: int, draw: int) -> str:
    """One caption; `draw` tells apart several captions of one sample in one epoch."""
    return choose_all([sample], policy, seed, [id], epoch, draw)[0]


def choose_all(
    samples: Sequence[Text],
    policy: CaptionPolicy,
    seed: int,
    ids: npt.ArrayLike,
    epochs: npt.ArrayLike | int,
    draw: int,
) -> list[str]:
    """`choose` for a batch, each caption as it would be alone."""
    if policy == "label":
        return [sample.caption for sample in samples]
    draws = uniform(seed, stream(_PURPOSE, draw), ids, epochs, 2 + _MOST_TAGS).tolist()
    return [_chosen(sample, policy, numbers) for sample, numbers in zip(samples, draws, strict=True)]


def _chosen(sample: Text, policy: CaptionPolicy, numbers: list[float]) -> str:
    form, which, *picks = numbers
    tags, languages = _tags(sample.fields), _languages(sample.fields, policy)
    if form < 0.5 or not (tags or languages):
        return sample.caption
    if not tags or (languages and form >= 0.75):
        return languages[int(which * len(languages))]
    return ", ".join([sample.caption, *_some(tags, 1 + int(which * _MOST_TAGS), picks)])


def _some(tags: list[str], count: int, picks: list[float]) -> list[str]:
    """`count` different tags in random order, or all there are."""
    rest = list(tags)
    return [rest.pop(int(pick * len(rest))) for pick in picks[: min(count, len(rest))]]


def _tags(fields: Mapping[str, Any]) -> list[str]:
    found = fields.get("tags")
    return _texts(found.split(",") if isinstance(found, str) else found)


def _languages(fields: Mapping[str, Any], policy: CaptionPolicy) -> list[str]:
    found = fields.get("i18n") if policy == "label-tags-languages" else None
    return _texts([found[language] for language in sorted(found)]) if isinstance(found, dict) else []


def _texts(values: object) -> list[str]:
    """The entries that say something; a stranger's json may hold anything."""
    entries = values if isinstance(values, list) else []
    return [entry.strip() for entry in entries if isinstance(entry, str) and entry.strip()]
