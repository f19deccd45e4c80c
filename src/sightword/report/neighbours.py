"""What lies near: pictures for a caption, and pictures for a picture, run beside run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from sightword.report.markup import Markup, join, tag
from sightword.report.records import Run
from sightword.report.tables import run_name

QUERIES = 8
NEAREST = 5


@dataclass(frozen=True)
class Query:
    """What is asked: how it is shown, and for each run the rows that answer it, each with "is it a hit"."""

    shown: Markup
    answers: Sequence[Sequence[tuple[str, bool]]]


def gallery(
    runs: Sequence[Run], colours: Sequence[int], queries: Iterable[Query], image: Callable[[str], Markup]
) -> Markup:
    """A row of pictures for each query and run; those that are hits carry a ring."""
    return tag(
        "div",
        join(
            tag(
                "div",
                tag("h3", query.shown),
                tag(
                    "div",
                    *(
                        tag("div", run_name(run, colour), _tiles(found, image), class_="found")
                        for run, colour, found in zip(runs, colours, query.answers, strict=True)
                    ),
                    class_="rows",
                ),
                class_="query",
            )
            for query in queries
        ),
        class_="gallery",
    )


def nearest(
    queries: Float[np.ndarray, "q d"], among: Float[np.ndarray, "n d"], count: int = NEAREST
) -> Int64[np.ndarray, "q k"]:
    """For each query the rows of its `count` nearest by cosine, nearest first."""
    likeness = _unit(queries) @ _unit(among).T
    return np.argsort(-likeness, axis=1, kind="stable")[:, :count].astype(np.int64)


def _unit(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _tiles(found: Sequence[tuple[str, bool]], image: Callable[[str], Markup]) -> Markup:
    return tag(
        "ul", *(tag("li", image(key), class_="hit" if hit else None) for key, hit in found), class_="tiles"
    )
