"""What a sentence or a picture finds in an index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float

from sightword.errors import SightwordError
from sightword.training.model import Model
from sightword.use.index.about import read_about
from sightword.use.index.features import vectors_of
from sightword.use.index.folder import Opened, open_index
from sightword.use.model import load
from sightword.use.pictures import Picture, squares


@dataclass(frozen=True)
class Hit:
    """A picture that was found.

    row: its place in the index.
    score: the cosine between it and what was asked for, from -1 to 1.
    path: its file, where it is one of its own; else "".
    """

    rank: int
    score: float
    row: int
    key: str
    path: str
    caption: str


@final
class Search:
    """An index, and the model that it was made with.

        search = open_search("photos.index")
        search.text("a red bus", top=3)
        search.image("query.jpg")

    Raises:
        SightwordError: the model is another one.
    """

    def __init__(self, opened: Opened, model: Model) -> None:
        about = opened.about
        if model.weights_hash != about.weights_hash:
            raise SightwordError(
                f"the index was made with {about.name} ({about.weights_hash}), not with {model.name}"
                f" ({model.weights_hash}), whose features mean other things; give --model that model, or"
                " index the pictures with this one"
            )
        self.about, self.opened, self.model = about, opened, model

    def __len__(self) -> int:
        return self.about.count

    def text(self, sentence: str, top: int = 20) -> list[Hit]:
        """The pictures that go best with a sentence.

        Raises:
            SightwordError: the model knows no captions, or the sentence says nothing.
        """
        if not self.about.joint:
            raise SightwordError(
                f"the model {self.about.name} was not trained with captions: it finds pictures like a"
                " picture only (--image FILE)"
            )
        if not sentence.strip():
            raise SightwordError('there is nothing to look for; give some words, such as "a red bus"')
        return self._nearest(self.model.encode_text([sentence]).numpy(), top)

    def image(self, picture: Picture, top: int = 20) -> list[Hit]:
        """The pictures that are most like one.

        Raises:
            SightwordError: it cannot be read.
        """
        (square,) = squares([picture], self.model.preparation)
        return self._nearest(vectors_of(self.model, square), top)

    def like(self, row: int, top: int = 20) -> list[Hit]:
        """The pictures that are most like one of the index, itself among them."""
        vector: np.ndarray = self.opened.engine.index.reconstruct(int(row))
        return self._nearest(vector[None], top)

    def hit(self, row: int, rank: int = 1, score: float = 1.0) -> Hit:
        """A picture of the index by its place."""
        (about,) = self.opened.pictures.slice(row, 1).select(["key", "path", "caption"]).to_pylist()
        return Hit(rank, score, row, **about)

    def _nearest(self, query: Float[np.ndarray, "1 d"], top: int) -> list[Hit]:
        if top < 1:
            raise SightwordError(f"top is {top}; give how many pictures to show, 1 or more")
        if not np.isfinite(query).all():
            raise SightwordError(f"the model {self.about.name} answers with NaN; its weights are broken")
        scores, rows = self.opened.engine.search(query, top)
        nearest = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        found = [(row, score) for row, score in nearest if row >= 0]  # a graph may find fewer
        return [self.hit(row, rank, score) for rank, (row, score) in enumerate(found, 1)]


def open_search(folder: str | Path, run: str = "", device: str = "auto") -> Search:
    """An index with its model.

    Args:
        folder: of the index.
        run: where the model lies, if it is no longer where it was when the index was made.
        device: where queries are encoded.

    Raises:
        SightwordError: the index is damaged, or the model is gone or another one.
    """
    about = read_about(Path(folder))
    if not run and not Path(about.run).exists():
        raise SightwordError(
            f"the model of '{folder}' is no longer at '{about.run}'; give the place where it is with --model"
        )
    opened = open_index(Path(folder))
    return Search(opened, load(run or about.run, device))
