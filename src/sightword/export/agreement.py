"""How far an exported model's features are from the run's, on real pictures and their captions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightword.export.target import Loaded
from sightword.pairs.sources import open_pairs
from sightword.training.model import Model
from sightword.views.decode import decode
from sightword.views.evaluation import Preparation

LIMIT = 1e-5  # of the largest difference, relative to features that are longer than 1
COUNT = 13  # pictures, and captions: no power of two, so that batches of several sizes come up
_SPLIT = "test_concept"


@dataclass(frozen=True)
class Sample:
    """Pictures as the model wants them, and sentences."""

    pictures: UInt8[Tensor, "n 3 s s"]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """Features of one kind, compared.

    what: "pictures" or "sentences".
    n: how many.
    max_abs: the largest difference of two numbers; NaN counts as infinite.
    cosine: the smallest cosine of two features.
    limit: what `max_abs` may be.
    """

    what: str
    n: int
    max_abs: float
    cosine: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether both agree."""
        return self.max_abs <= self.limit and self.cosine >= 1 - LIMIT

    def line(self) -> str:
        """For people."""
        far = f"max-abs {self.max_abs:.1e}, cosine {self.cosine:.7f}"
        return f"{self.n} {self.what}: {far} (limit {self.limit:.1e})"

    def record(self) -> dict[str, Any]:
        """As JSON has it: no infinity."""
        return {name: None if value == math.inf else value for name, value in asdict(self).items()}


@cache
def take_sample(preparation: Preparation, count: int = COUNT) -> Sample:
    """Pictures and captions of the embedded demo, evenly spaced, and sentences that are hard to tokenise."""
    pairs = open_pairs("demo", _SPLIT)
    rows = [pairs[i * len(pairs) // count] for i in range(count)]
    pictures = preparation([decode(row.image, row.key) for row in rows])
    hard = ("A  Photo of\n2 CAFÉS, it's 10% off!", "", "word " * 200)
    return Sample(pictures, (*(row.caption for row in rows), *hard))


def compare(model: Model, loaded: Loaded, sample: Sample) -> Iterator[Agreement]:
    """The run's features beside those of its export."""
    with torch.inference_mode():
        ours = model.encode_image(sample.pictures, project=not loaded.pooled)
        yield _agreement("pictures", ours, loaded.image(sample.pictures))
        if loaded.text is not None:
            yield _agreement("sentences", model.encode_text(sample.sentences), loaded.text(sample.sentences))


def _agreement(what: str, ours: Float[Tensor, "n d"], theirs: Float[Tensor, "m e"]) -> Agreement:
    ours, theirs = ours.double(), theirs.detach().cpu().double()
    if ours.shape != theirs.shape:
        return Agreement(what, len(ours), math.inf, 0.0, LIMIT)
    far = float((ours - theirs).abs().max().nan_to_num(math.inf))
    near = float(torch.cosine_similarity(ours, theirs).min().nan_to_num(0.0))
    return Agreement(what, len(ours), far, near, LIMIT * max(1.0, float(ours.abs().max())))
