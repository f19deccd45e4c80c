"""Floor 7. The parts of the page that show pictures, and the rule by which each of them chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

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
POINTS = 800  # on a map: t-SNE takes some five seconds for so many


@dataclass(frozen=True)
class Cast:
    """The runs whose pictures are shown, each with its colour on the page, and what they are shown on."""

    runs: Sequence[Run]
    colours: Sequence[int]
    shown: Shown


def zero_shot(cast: Cast) -> Section:
    """Examples of zero-shot classification by the first two runs of the cast."""
    test = cast.shown.test
    found = _with(cast, lambda run: outcomes(run, test.name, test.split, "zeroshot"))[:2]
    title, anchor = "Zero-shot examples", "examples"
    if not found:
        return Section(anchor, title, "", Markup(""), "No run was scored on zero-shot classification here.")
    runs, colours = [run for run, _, _ in found], [colour for _, colour, _ in found]
    first = answers_in(found[0][2])
    lead = (
        f"The encoder chooses one of {len(first.names):,} names for each picture of {_place(test)}: the one whose "
        "caption lies nearest. Drawn by lot with a fixed seed, equally many of each kind; shares are the softmax "
        "of 100 times the cosine."
    )
    body = examples(runs, [answers_in(o) for _, _, o in found], colours, cast.shown.pictures, _place(test))
    return Section(anchor, title, lead, body)


def retrieval(cast: Cast) -> Section:
    """Captions and the pictures they find."""
    test = cast.shown.test
    found = _with(cast, lambda run: outcomes(run, test.name, test.split, "retrieval"))
    title, anchor = "From words to pictures", "retrieval"
    if not found:
        return Section(anchor, title, "", Markup(""), "No run was scored on retrieval here.")
    asked = [_by_query(o) for _, _, o in found]
    shared, _ = in_common([list(a) for a in asked])
    chosen = [shared[i] for i in draw(f"captions {_place(test)}", range(len(shared)), QUERIES)]
    lead = (
        f"{len(chosen)} captions of {_place(test)}, drawn by lot with a fixed seed, and the pictures nearest to "
        "each. A ring marks a picture that carries the caption."
    )
    queries = (Query(tag("span", f"“{caption}”"), [a[caption] for a in asked]) for caption in chosen)
    runs, colours = [run for run, _, _ in found], [colour for _, colour, _ in found]
    return Section(anchor, title, lead, gallery(runs, colours, queries, cast.shown.pictures.image))


def neighbours(cast: Cast) -> Section:
    """Unseen pictures and the pictures of training (or else of the same split) that lie nearest."""
    test, train = cast.shown.test, cast.shown.train
    found = _with(cast, lambda run: space(run, test))
    title, anchor = "Nearest neighbours", "neighbours"
    if not found:
        return Section(anchor, title, "", Markup(""), "No run kept features of these pictures.")
    learned = [space(run, train) if train else None for run, _, _ in found]
    known = [s for s in learned if s is not None]
    among = known if len(known) == len(found) else [s for _, _, s in found]
    elsewhere = among is known
    keys, rows = in_common([s.keys for _, _, s in found])
    chosen = draw(f"neighbours {_place(test)}", range(len(keys)), QUERIES)
    nearby = [
        _nearest(s, [int(r[i]) for i in chosen], a, skip=0 if elsewhere else 1)
        for (_, _, s), a, r in zip(found, among, rows, strict=True)
    ]
    same = _kinship(test, train if elsewhere and train else test)
    pictures = cast.shown.pictures
    queries = (
        Query(_asked(pictures, keys[i]), [[(key, same(keys[i], key)) for key in run[n]] for run in nearby])
        for n, i in enumerate(chosen)
    )
    tiles = cast.shown.learned if elsewhere and cast.shown.learned else pictures
    lead = (
        f"{len(chosen)} pictures of {_place(test)}, drawn by lot with a fixed seed, and the "
        f"{'training ' if elsewhere else ''}pictures nearest to each in the encoder's own features. "
        "A ring marks the same caption."
    )
    runs, colours = [run for run, _, _ in found], [colour for _, colour, _ in found]
    return Section(anchor, title, lead, gallery(runs, colours, queries, tiles.image))


def embedding(cast: Cast) -> Section:
    """A map of each run's features."""
    test = cast.shown.test
    found = _with(cast, lambda run: space(run, test))
    if not found:
        return Section(
            "map", "A map of what it sees", "", Markup(""), "No run kept features of these pictures."
        )
    keys, rows = in_common([s.keys for _, _, s in found])
    chosen = draw(f"map {_place(test)}", range(len(keys)), POINTS)
    shown = [keys[i] for i in chosen]
    clouds = [
        Cloud(run.label, colour, lay_out(s.features[[int(r[i]) for i in chosen]]))
        for (run, colour, s), r in zip(found, rows, strict=True)
    ]
    lead = (
        f"{len(shown):,} pictures of {_place(test)} laid out by t-SNE of the encoder's own features: what it finds "
        "alike lies together. Only nearness means something; axes and distances between far groups do not. "
        "Point at the map to see a picture, and the same picture on the other maps."
    )
    return Section(
        "map", "A map of what it sees", lead, maps(clouds, shown, groups(test, shown), cast.shown.pictures)
    )


def _with(cast: Cast, find: Callable[[Run], T | None]) -> list[tuple[Run, int, T]]:
    """The runs that have something, with their colours."""
    rows = ((run, colour, find(run)) for run, colour in zip(cast.runs, cast.colours, strict=True))
    return [(run, colour, thing) for run, colour, thing in rows if thing is not None]


def _by_query(found: Outcomes) -> Mapping[str, list[tuple[str, bool]]]:
    """For each caption the pictures that it found, each with whether it carries that caption."""
    rows = found.table.select(["direction", "key", "targets", "top5"]).to_pylist()
    return {
        row["key"]: [(key, key in row["targets"]) for key in row["top5"]]
        for row in rows
        if row["direction"] == "image"
    }


def _nearest(asked: Space, rows: Sequence[int], among: Space, skip: int) -> list[list[str]]:
    """For each row the keys of what lies nearest; `skip` leaves out the picture itself."""
    near = nearest(asked.features[list(rows)], among.features, NEAREST + skip)
    return [[among.keys[int(j)] for j in row[skip:]] for row in near]


def _kinship(test: LabelledSet, other: LabelledSet) -> Callable[[str, str], bool]:
    """Whether a picture of `test` and one of `other` are said to show the same."""
    ours, theirs = captions(test), captions(other)
    return lambda asked, found: asked in ours and ours[asked] == theirs.get(found)


def _asked(pictures: Thumbnails, key: str) -> Markup:
    return tag("span", pictures.image(key), tag("small", pictures.caption(key)), class_="asked")


def _place(test: LabelledSet) -> str:
    return f"{test.name}, {test.split}".replace("_", " ")
