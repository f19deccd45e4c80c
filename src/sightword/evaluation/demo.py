"""The embedded demo as a benchmark: pictures by an artist, and of concepts, that training never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightword.evaluation.labelled import Benchmark, LabelledSet, Labels
from sightword.pairs.base import Pairs
from sightword.pairs.sample import Sample
from sightword.pairs.sources import open_pairs

TESTS = ("test_artist", "test_concept")


def open_demo() -> Benchmark:
    """Zero-shot classes are the distinct captions of a split, groups the nine families of emoji.

    A zero-shot prompt is the bare caption, because that is how training's captions look; tags are synonyms.
    """
    splits = {split: open_pairs("demo", split) for split in ("train", *TESTS)}
    samples = {split: [pairs[i] for i in range(len(pairs))] for split, pairs in splits.items()}
    groups = sorted({str(sample.fields["group"]) for part in samples.values() for sample in part})
    train, *tests = (_split(split, splits[split], samples[split], groups) for split in samples)
    return Benchmark("demo", tuple(tests), train)


def _split(split: str, pairs: Pairs, samples: Sequence[Sample], groups: Sequence[str]) -> LabelledSet:
    classes = Labels.from_names(sample.caption for sample in samples)
    tags = {sample.caption: _tags(sample.fields) for sample in samples}
    concepts = tuple(sample.key.rpartition("_")[0] for sample in samples)  # keys are concept_artist
    return LabelledSet(
        name="demo",
        split=split,
        keys=tuple(sample.key for sample in samples),
        read=lambda i: pairs[i].image,
        classes=classes,
        groups=Labels.from_names((str(sample.fields["group"]) for sample in samples), groups),
        synonyms=tuple(tags[name] for name in classes.names),
        captions=tuple((sample.caption,) for sample in samples),
        clusters=concepts if len(set(concepts)) < len(concepts) else (),
    )


def _tags(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(tag) for tag in fields.get("tags", ()))
