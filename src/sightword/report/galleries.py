"""The parts of the page that show pictures, and the rule by which each of them chooses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.outcomes import Outcomes
from sightword.report.answers import answers_in, examples
from sightword.report.draws import draw, in_common
from sightword.report.evidence import Shown, Space, captions, groups, outcomes, space
from sightword.report.map import Cloud, lay_out, maps
from sightword.report.markup import Markup, tag
from sightword.report.neighbours import NEAREST, QUERIES, Query, gallery, nearest
from sightword.report.records import Run
from sightword.report.sections import Section
from sightword.report.thumbnails import Thumbnails

T = TypeVar("T")
POINTS = 800  # on a map: t-SNE takes over a second for so many


@dataclass(frozen=True)
class Cast:
    """The runs whose pictures are shown, each with its colour on the page, and what they are shown on."""

    runs: Sequence[Run]
    colours: Sequence[int]
    shown: Shown


@dataclass(frozen=True)
class Kept(Generic[T]):
    """Those runs of a cast that kept something, with their colours and what each kept."""

    runs: Sequence[Run]
    colours: Sequence[int]
    things: Sequence[T]


def zero_shot(cast: Cast) -> Section:
    """Examples of zero-shot classification by the first two runs of the cast."""
    test = cast.shown.test
    two = Cast(cast.runs[:2], cast.colours[:2], cast.shown)
    kept = _kept(two, lambda run: outcomes(run, test.name, test.split, "zeroshot"))
    title = "Zero-shot examples"
    if not kept.runs:
        return _nothing("examples", title, "No run was scored on zero-shot classification here.")
    answers = [answers_in(found) for found in kept.things]
    lead = (
        f"For each picture of {_place(test)} the encoder chooses one of {len(answers[0].names):,} names: the "
        "one whose caption lies nearest. Drawn by lot with a fixed seed, equally many of each kind; shares "
        "are the softmax of 100 times the cosine."
    )
    body = examples(kept.runs, answers, kept.colours, cast.shown.pictures, _place(test))
    return Section("examples", title, lead, body)


def retrieval(cast: Cast) -> Section:
    """Captions and the pictures they find."""
    test = cast.shown.test
    kept = _kept(cast, lambda run: outcomes(run, test.name, test.split, "retrieval"))
    title = "From words to pictures"
    if not kept.runs:
        return _nothing("retrieval", title, "No run was scored on retrieval here.")
    found = [_by_query(one) for one in kept.things]
    shared, _ = in_common([list(one) for one in found])
    chosen = [shared[i] for i in draw(f"captions {_place(test)}", range(len(shared)), QUERIES)]
    lead = (
        f"{len(chosen)} captions of {_place(test)}, drawn by lot with a fixed seed, and the pictures nearest "
        "to each. A ring marks a picture that carries the caption."
    )
    queries = (Query(tag("span", f"“{caption}”"), [one[caption] for one in found]) for caption in chosen)
    return Section(
        "retrieval", title, lead, gallery(kept.runs, kept.colours, queries, cast.shown.pictures.image)
    )


def neighbours(cast: Cast) -> Section:
    """Unseen pictures and the pictures of training that lie nearest, or else those of the same split."""
    test, pictures = cast.shown.test, cast.shown.pictures
    kept = _kept(cast, lambda run: space(run, test))
    title = "Nearest neighbours"
    if not kept.runs:
        return _nothing("neighbours", title, "No run kept features of these pictures.")
    known, among, tiles = _known(cast, kept)
    keys, _ = in_common([one.keys for one in kept.things])
    chosen = [keys[i] for i in draw(f"neighbours {_place(test)}", range(len(keys)), QUERIES)]
    nearby = [_nearest(one, chosen, other) for one, other in zip(kept.things, known, strict=True)]
    same = _kinship(test, among)
    queries = (
        Query(_asked(pictures, asked), [[(key, same(asked, key)) for key in run[asked]] for run in nearby])
        for asked in chosen
    )
    lead = (
        f"{len(chosen)} pictures of {_place(test)}, drawn by lot with a fixed seed, and the pictures of "
        f"{_place(among)} nearest to each in the encoder's own features. A ring marks the same caption."
    )
    return Section("neighbours", title, lead, gallery(kept.runs, kept.colours, queries, tiles.image))


def embedding(cast: Cast) -> Section:
    """A map of each run's features."""
    test, title = cast.shown.test, "A map of what it sees"
    kept = _kept(cast, lambda run: space(run, test))
    if not kept.runs:
        return _nothing("map", title, "No run kept features of these pictures.")
    keys, places = in_common([one.keys for one in kept.things])
    chosen = draw(f"map {_place(test)}", range(len(keys)), POINTS)
    shown = [keys[i] for i in chosen]
    features = [one.features[rows[chosen]] for one, rows in zip(kept.things, places, strict=True)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        laid = list(threads.map(lay_out, features))
    clouds = [Cloud(run.label, spots) for run, spots in zip(kept.runs, laid, strict=True)]
    lead = (
        f"{len(shown):,} pictures of {_place(test)} laid out by t-SNE of the encoder's own features: what it "
        "finds alike lies together. Only nearness means something; axes and distances between far groups do "
        "not. Point at the map to see a picture, and the same picture on the other maps."
    )
    return Section("map", title, lead, maps(clouds, shown, groups(test, shown), cast.shown.pictures))


def _nothing(anchor: str, title: str, why: str) -> Section:
    return Section(anchor, title, "", Markup(""), why)


def _kept(cast: Cast, find: Callable[[Run], T | None]) -> Kept[T]:
    rows = [(run, colour, find(run)) for run, colour in zip(cast.runs, cast.colours, strict=True)]
    there = [(run, colour, thing) for run, colour, thing in rows if thing is not None]
    return Kept([row[0] for row in there], [row[1] for row in there], [row[2] for row in there])


def _by_query(found: Outcomes) -> Mapping[str, list[tuple[str, bool]]]:
    """For each caption the pictures that it found, each with whether it carries that caption."""
    rows = found.table.select(["direction", "key", "targets", "top5"]).to_pylist()
    return {
        row["key"]: [(key, key in row["targets"]) for key in row["top5"]]
        for row in rows
        if row["direction"] == "image"
    }


def _known(cast: Cast, kept: Kept[Space]) -> tuple[Sequence[Space], LabelledSet, Thumbnails]:
    """What neighbours are looked for among: the training pictures where every run kept their features."""
    train, learned = cast.shown.train, cast.shown.learned
    if train and learned:
        spaces = [found for run in kept.runs if (found := space(run, train)) is not None]
        if len(spaces) == len(kept.runs):
            return spaces, train, learned
    return kept.things, cast.shown.test, cast.shown.pictures


def _nearest(asked: Space, keys: Sequence[str], among: Space) -> Mapping[str, list[str]]:
    """For each of these pictures the keys of what lies nearest, itself left out."""
    rows = {key: i for i, key in enumerate(asked.keys)}
    near = nearest(asked.features[[rows[key] for key in keys]], among.features, NEAREST + 1)
    found = {key: [among.keys[j] for j in line.tolist()] for key, line in zip(keys, near, strict=True)}
    itself = among is asked
    return {key: [n for n in line if not (itself and n == key)][:NEAREST] for key, line in found.items()}


def _kinship(test: LabelledSet, other: LabelledSet) -> Callable[[str, str], bool]:
    """Whether a picture of `test` and one of `other` are said to show the same."""
    ours, theirs = captions(test), captions(other)
    return lambda asked, found: asked in ours and ours[asked] == theirs.get(found)


def _asked(pictures: Thumbnails, key: str) -> Markup:
    return tag("span", pictures.image(key), tag("small", pictures.caption(key)), class_="asked")


def _place(test: LabelledSet) -> str:
    return f"{test.name}, {test.split}".replace("_", " ")
