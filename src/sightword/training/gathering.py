"""From sample numbers to their views and texts, with the unreadable ones named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from sightword.errors import BadSample
from sightword.pairs.base import Pairs
from sightword.pairs.sample import Sample, Text
from sightword.views.files import views_of_files
from sightword.views.pipeline import make_views
from sightword.views.store import DecodedStore
from sightword.words import View

Ids = Int64[np.ndarray, " b"]


@dataclass(frozen=True)
class Wanted:
    """What to make of some samples.

    ids, epochs: which samples, and the epoch in which each is seen.
    views: of their pictures.
    captions: whether their texts are wanted.
    seed: the run's seed.
    coloured: whether to do the views' colours as well.
    """

    ids: Ids
    epochs: Ids
    views: tuple[View, ...]
    captions: bool
    seed: int
    coloured: bool = True

    def alone(self, row: int, id: int) -> Wanted:
        """The same of one other sample, in the place of a row."""
        ids = np.array([id], dtype=np.int64)
        return replace(self, ids=ids, epochs=self.epochs[row : row + 1])


@dataclass(frozen=True)
class Gathered:
    """Samples as a batch shows them. Rows of bad samples hold nothing of use.

    texts: one for each row; None where nobody asked.
    seconds: what each stage took.
    """

    texts: list[Text | None]
    views: dict[View, UInt8[Tensor, "b 3 _ _"]]
    bad: dict[int, BadSample]
    seconds: dict[str, float]

    def put(self, row: int, other: Gathered) -> None:
        """Another sample, gathered alone, in the place of a row."""
        self.texts[row] = other.texts[0]
        for view, images in self.views.items():
            images[row] = other.views[view][0]
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def from_files(pairs: Pairs, wanted: Wanted) -> Gathered:
    """Read every sample's file and make its views."""
    samples: list[Text | None] = []
    files, bad, seconds = list[bytes](), dict[int, BadSample](), dict[str, float]()
    with stage(seconds, "read"):
        for row, id in enumerate(wanted.ids.tolist()):
            try:
                sample = pairs[id]
            except BadSample as error:
                bad[row], sample = error, Sample(error.key, (), {})
            samples.append(sample)
            files.append(sample.image)
    keys = [sample.key if sample else "" for sample in samples]
    made = views_of_files(
        files, keys, wanted.views, wanted.seed, wanted.ids, wanted.epochs, coloured=wanted.coloured
    )
    return Gathered(samples, dict(made.views), {**made.bad, **bad}, {**seconds, **made.seconds})


def from_store(pairs: Pairs, store: DecodedStore, texts: dict[int, Text], wanted: Wanted) -> Gathered:
    """Views of pictures that are decoded already; `texts` remembers what was read beside them."""
    found: list[Text | None] = [None] * len(wanted.ids)
    bad, seconds = dict[int, BadSample](), dict[str, float]()
    with stage(seconds, "read"):
        for row, id in enumerate(wanted.ids.tolist()):
            try:
                _check_readable(store, id)
                found[row] = _text(pairs, texts, id) if wanted.captions else None
            except BadSample as error:
                bad[row] = error
    with stage(seconds, "views"):
        rows = np.array([row for row in range(len(found)) if row not in bad], dtype=np.int64)
        ids, epochs = wanted.ids[rows], wanted.epochs[rows]
        pictures = store.gather(ids)
        views = make_views(pictures, wanted.views, wanted.seed, ids, epochs, coloured=wanted.coloured)
    return Gathered(found, _spread(views, rows, len(found)) if bad else views, bad, seconds)


@contextmanager
def stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Adds what happens inside to the time of a stage."""
    begun = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun


def _text(pairs: Pairs, texts: dict[int, Text], id: int) -> Text:
    if id not in texts:
        texts[id] = pairs.text(id)
    return texts[id]


def _check_readable(store: DecodedStore, id: int) -> None:
    if id in store.bad:
        raise BadSample(*store.bad[id])


def _spread(
    views: dict[View, UInt8[Tensor, "n 3 _ _"]], rows: Int64[np.ndarray, " n"], count: int
) -> dict[View, UInt8[Tensor, "b 3 _ _"]]:
    """The made rows in their places among all of a batch."""
    places = torch.from_numpy(rows)
    spread = {}
    for view, images in views.items():
        spread[view] = torch.zeros(count, *images.shape[1:], dtype=images.dtype)
        spread[view][places] = images
    return spread
