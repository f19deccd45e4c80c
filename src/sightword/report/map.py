"""A map of a feature space: pictures that the encoder finds alike lie close together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from sightword.report.figures import COLOURS, marker
from sightword.report.markup import Markup, join, tag, verbatim
from sightword.report.thumbnails import Thumbnails

SIZE = 480.0
MARGIN = 16.0
DRAWN = 28.0  # side of a thumbnail on the map
SPRITE, ACROSS = 40, 32
STEPS = 500  # of t-SNE


@dataclass(frozen=True)
class Cloud:
    """Where one run's features put the pictures: `spots` has shape (n, 2) in [0, 1]."""

    label: str
    spots: Float[np.ndarray, "n 2"]


def lay_out(features: Float[np.ndarray, "n d"], seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """t-SNE (van der Maaten and Hinton 2008) of L2-normalised features, from at most 50 principal axes.

    In one thread: what more of them compute depends on their number. Half of scikit-learn's 1,000 steps: on
    the demo's maps the others lower the divergence by 2 % and keep no more neighbours.

    Returns:
        Coordinates in [0, 1], the same for the same seed.
    """
    rows = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    axes = min(50, *rows.shape)
    reduced = PCA(axes, random_state=seed).fit_transform(rows)
    perplexity = min(30.0, max(1.0, (len(rows) - 1) / 3))
    with threadpool_limits(1, user_api="openmp"):
        chart = TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=STEPS)
        spots = chart.fit_transform(reduced)
    low, high = spots.min(0), spots.max(0)
    return ((spots - low) / np.maximum(high - low, 1e-12)).astype(np.float64)


def spread_out(spots: Float[np.ndarray, "n 2"], apart: float, most: int) -> list[int]:
    """Points far enough from each other for a thumbnail each, taken in their order."""
    chosen: list[int] = []
    for i, spot in enumerate(spots):
        if len(chosen) < most and all(np.abs(spot - spots[j]).max() > apart for j in chosen):
            chosen.append(i)
    return chosen


def maps(clouds: Sequence[Cloud], keys: Sequence[str], groups: Sequence[str], pictures: Thumbnails) -> Markup:
    """One map for each run, the groups' legend, and what a hover shows."""
    names = sorted(set(groups))
    figures = [_map(cloud, keys, [names.index(group) for group in groups], pictures) for cloud in clouds]
    rows = -(-len(keys) // ACROSS)
    about = {
        "captions": [pictures.caption(key) for key in keys],
        "groups": list(groups),
        "sheet": pictures.sheet(keys, SPRITE, ACROSS),
        "across": ACROSS,
        "rows": rows,
    }
    return join([tag("div", *figures, class_="maps"), _legend(names), _data("map-data", about)])


def _map(cloud: Cloud, keys: Sequence[str], kinds: Sequence[int], pictures: Thumbnails) -> Markup:
    places = MARGIN + cloud.spots * (SIZE - 2 * MARGIN)
    dots = (
        marker(
            kind,
            float(x),
            float(y),
            3.4,
            class_=f"point c{kind % COLOURS}",
            data_i=i,
            data_g=kind,
            fill="var(--run)",
        )
        for i, ((x, y), kind) in enumerate(zip(places, kinds, strict=True))
    )
    shown = spread_out(cloud.spots, apart=1.25 * DRAWN / SIZE, most=40)
    drawn = (
        tag(
            "image",
            href=pictures.address(keys[i]),
            x=f"{places[i, 0] - DRAWN / 2:.1f}",
            y=f"{places[i, 1] - DRAWN / 2:.1f}",
            width=f"{DRAWN:g}",
            height=f"{DRAWN:g}",
            data_g=kinds[i],
        )
        for i in shown
    )
    title = tag("title", f"Map of {len(keys)} pictures as {cloud.label} sees them, coloured by group")
    return tag(
        "figure",
        tag("figcaption", cloud.label),
        tag("svg", title, *dots, *drawn, viewBox=f"0 0 {SIZE:g} {SIZE:g}", role="img", class_="map"),
    )


def _legend(names: Sequence[str]) -> Markup:
    return tag(
        "ul",
        *(
            tag(
                "li",
                tag(
                    "svg",
                    marker(kind, 6.0, 6.0, 4.4, fill="var(--run)"),
                    viewBox="0 0 12 12",
                    class_=f"c{kind % COLOURS}",
                    aria_hidden="true",
                ),
                name,
                data_g=kind,
                tabindex=0,
            )
            for kind, name in enumerate(names)
        ),
        class_="groups",
    )


def _data(name: str, value: object) -> Markup:
    """JSON that no string inside can end: every "<" is written as an escape."""
    source = json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")
    return tag("script", verbatim(source), type="application/json", id=name)
