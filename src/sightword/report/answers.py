"""Zero-shot answers, right and wrong, with the pictures they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from sightword.evaluation.outcomes import Outcomes
from sightword.report import phrases
from sightword.report.draws import draw, in_common
from sightword.report.figures import COLOURS
from sightword.report.markup import Markup, join, tag
from sightword.report.records import Run
from sightword.report.tables import run_name
from sightword.report.thumbnails import Thumbnails

EACH = 4  # examples of a kind when two runs are compared
ALONE = 6  # and when there is one run


@dataclass(frozen=True)
class Answers:
    """What one run said of every picture, n of them.

    keys: of the pictures.
    names: of the classes.
    labels: the right class of each, shape (n,).
    tops, shares: the likeliest classes, likeliest first, and their probabilities, shape (n, 5) or narrower.
    right: whether the likeliest is the right one, shape (n,).
    """

    keys: Sequence[str]
    names: Sequence[str]
    labels: Int64[np.ndarray, " n"]
    tops: Int64[np.ndarray, "n k"]
    shares: Float[np.ndarray, "n k"]
    right: Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class Column:
    """One run's answers; `rows` says where it has the pictures that all runs have in common, shape (m,)."""

    run: Run
    answers: Answers
    rows: Int64[np.ndarray, " m"]
    colour: int


def answers_in(found: Outcomes) -> Answers:
    """The answers of a classification."""
    column = found.table.column
    return Answers(
        column("key").to_pylist(),
        found.names,
        np.asarray(column("label").to_pylist(), dtype=np.int64),
        np.asarray(column("top5").to_pylist(), dtype=np.int64),
        np.asarray(column("probabilities").to_pylist(), dtype=np.float64),
        np.asarray(column("correct").to_pylist(), dtype=np.bool_),
    )


def examples(
    runs: Sequence[Run], answers: Sequence[Answers], colours: Sequence[int], pictures: Thumbnails, where: str
) -> Markup:
    """Pictures drawn by lot from each kind: those that both runs got right, only one, or neither.

    Args:
        runs, answers, colours: of one or two runs, in the same order.
        pictures: where the pictures are.
        where: the set's name; the lot is drawn for it.
    """
    keys, rows = in_common([a.keys for a in answers])
    columns = [Column(run, a, r, c) for run, a, r, c in zip(runs, answers, rows, colours, strict=True)]
    most = ALONE if len(runs) == 1 else EACH
    parts = []
    for kind, among in _kinds(columns):
        if among:
            share = tag("small", f"{phrases.count(len(among))} of {phrases.count(len(keys))} pictures")
            drawn = [_example(keys[i], i, columns, pictures) for i in draw(f"{where} {kind}", among, most)]
            shown = tag("div", *drawn, class_="examples")
            parts.append(tag("div", tag("h3", f"{kind} ", share), shown, class_="stratum"))
    return join(parts)


def _kinds(columns: Sequence[Column]) -> list[tuple[str, list[int]]]:
    """Each kind's name and which of the common pictures are of it."""
    right = [column.answers.right[column.rows] for column in columns]
    if len(columns) == 1:
        kinds = [("Right", right[0]), ("Wrong", ~right[0])]
    else:
        (a, b), (first, second) = right, (column.run.label for column in columns)
        kinds = [
            ("Right by both", a & b),
            (f"Right by {second} only", b & ~a),
            (f"Right by {first} only", a & ~b),
            ("Wrong by both", ~a & ~b),
        ]
    return [(name, np.flatnonzero(which).tolist()) for name, which in kinds]


def _example(key: str, i: int, columns: Sequence[Column], pictures: Thumbnails) -> Markup:
    first = columns[0]
    lists = (
        tag(
            "div",
            run_name(column.run, column.colour) if len(columns) > 1 else "",
            _bars(column.answers, int(column.rows[i])),
            class_=f"c{column.colour % COLOURS}",
        )
        for column in columns
    )
    truth = first.answers.names[first.answers.labels[first.rows[i]]]
    said = tag("div", *lists, class_="answers")
    return tag("article", pictures.image(key), tag("h4", truth), said, class_="example")


def _bars(answers: Answers, row: int) -> Markup:
    """The five likeliest names; the right one is set apart by weight, colour and a tick."""
    guesses = zip(answers.tops[row].tolist(), answers.shares[row].tolist(), strict=True)
    truth = int(answers.labels[row])
    return tag("ol", *(_bar(answers.names[top], share, top == truth) for top, share in guesses))


def _bar(name: str, share: float, right: bool) -> Markup:
    return tag(
        "li",
        tag("span", tag("b", "✓ ", class_="yes") if right else "", name),
        tag("span", f"{100 * share:.0f}{phrases.THIN}%"),
        tag("i", style=f"width:{100 * share:.1f}%"),
        class_="true" if right else None,
        title=name,
    )
