"""Which words go with a picture this time: a pure function of (seed, sample id, epoch, draw).

first                 the first caption, always; `label` is the same, said of a class
uniform               any of the captions, each as likely: SLIP on CC3M, CC12M and COCO; LaCLIP's rewrites
longest               the one with the most words, of equals the first
mixture               half of the time the first, the picture's own, else any of the others: captions that
                      were made for it later (arXiv 2310.07699), however many, never outweigh its own
title-or-description  either field, each as likely and possibly empty: SLIP on YFCC15M; where a sample has
                      neither field, as `uniform`
label-tags            see `labels`; label-tags-languages as well
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from sightword.config import CaptionPolicy
from sightword.pairs.sample import Text
from sightword.pairs.words import labels
from sightword.randomness import stream, uniform

_PURPOSE = "caption"
_SURE = ("label", "first", "longest")  # nothing is drawn


def captions_of(sample: Text, policy: CaptionPolicy) -> list[str]:
    """Every text that `choose` may use for a sample, the first caption first, none twice."""
    if policy in ("label-tags", "label-tags-languages"):
        return labels.texts_of(sample, languages=policy == "label-tags-languages")
    return list(dict.fromkeys(_candidates(sample, policy)))


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
    if policy in _SURE:
        return [_candidates(sample, policy)[0] for sample in samples]
    draws = uniform(seed, stream(_PURPOSE, draw), ids, epochs, labels.DRAWS).tolist()
    return [_chosen(sample, policy, numbers) for sample, numbers in zip(samples, draws, strict=True)]


def _chosen(sample: Text, policy: CaptionPolicy, numbers: list[float]) -> str:
    if policy in ("label-tags", "label-tags-languages"):
        return labels.choose(sample, policy == "label-tags-languages", numbers)
    form, which, *_ = numbers
    texts = _candidates(sample, policy)
    if policy == "mixture" and len(texts) > 1:
        texts = texts[:1] if form < 0.5 else texts[1:]
    return texts[int(which * len(texts))]


def _candidates(sample: Text, policy: CaptionPolicy) -> Sequence[str]:
    """At least one text; one that is listed twice is as likely as two."""
    fields = _title_and_description(sample) if policy == "title-or-description" else []
    if fields:
        return fields
    if policy in ("label", "first") or not sample.captions:
        return [sample.caption]
    if policy == "longest":
        return [max(sample.captions, key=lambda text: len(text.split()))]
    return sample.captions


def _title_and_description(sample: Text) -> list[str]:
    found = (sample.fields.get(name) for name in ("title", "description"))
    return [text for text in found if isinstance(text, str)]
