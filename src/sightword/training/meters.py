"""What is measured of a step beside its loss."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from sightword import distributed
from sightword.collapse import alignment, deviation, effective_rank, uniformity
from sightword.towers.joint_space import JointSpace
from sightword.training.gradients import Agreement
from sightword.training.pretrainer import Answer
from sightword.words import Encode, Encoded

ROWS = 256  # of a batch, at most, that features are measured on: it bounds the cost, and ranks by it


@dataclass(frozen=True)
class Readings:
    """What was measured of a step; empty where it was not.

    features: of the shared image tower, and of pictures against captions in the joint space.
    views: for each term that looks at two views, how these lie in the tower's own space.
    gradients: of the terms' own gradients on the image tower.
    """

    features: Mapping[str, float] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    gradients: Agreement = field(default_factory=Agreement)


@contextmanager
def overhearing(joint: JointSpace | None) -> Iterator[dict[str, Tensor]]:
    """Collects the first `image` and `text` features that objectives send to the joint space meanwhile.

    What an objective pools and projects is its own affair; this is what came of it.
    """
    heard: dict[str, Tensor] = {}
    if joint is None:
        yield heard
        return
    hooks = [
        projection.register_forward_hook(partial(_remember, heard, side))
        for side, projection in (("image", joint.image), ("text", joint.text))
    ]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def feature_readings(encoded: Mapping[Encode, Encoded], heard: Mapping[str, Tensor]) -> dict[str, float]:
    """Signs of collapse of the image tower, and how pictures and captions lie in the joint space.

    Args:
        encoded: everything that was encoded of a step.
        heard: projected `image` and `text` features, of which row i belongs to row i.
    """
    readings: dict[str, float] = {}
    students = [e for e in encoded if e.tower != "text" and e.teacher is None]
    if students:
        features = _first_rows(encoded[min(students, key=_obscurity)].pooled)
        spread = deviation(features) * features.shape[1] ** 0.5
        rank, most = float(effective_rank(features)), min(features.shape)
        readings |= {"effective_rank": rank, "rank_most": most, "spread": float(spread)}
    if len({len(features) for features in heard.values()}) == 1 and len(heard) == 2:
        image, text = _first_rows(heard["image"]), _first_rows(heard["text"])
        readings |= {
            "alignment": float(alignment(image, text)),
            "image_uniformity": float(uniformity(image)),
            "text_uniformity": float(uniformity(text)),
        }
    return readings


def view_readings(
    encoded: Mapping[Encode, Encoded], wants: Mapping[str, Mapping[str, Encode]]
) -> dict[str, dict[str, float]]:
    """How the first two views of each term lie in the image tower's own space.

    Args:
        encoded: everything that was encoded of a step.
        wants: what each term wants, by its name.
    """
    readings = {}
    for name, own in wants.items():
        whole = (e for e in own.values() if e.tower == "image" and e.teacher is None and e.keep is None)
        views = [_first_rows(encoded[e].pooled) for e in [*dict.fromkeys(whole)][:2]]
        if len(views) == 2:
            readings[name] = {
                "view_alignment": float(alignment(*views)),
                "view_uniformity": float(uniformity(views[0])),
            }
    return readings


def _first_rows(features: Tensor) -> Tensor:
    """Of the whole step's batch; all processes ask for them together."""
    return distributed.gather(features[:ROWS].detach())[:ROWS]


def _obscurity(encode: Encode) -> tuple[bool, bool, int]:
    """Less is a clearer look at what the image tower makes of whole pictures."""
    size = encode.view.size if encode.view else 0
    return encode.tower != "image", encode.keep is not None, -size


def _remember(heard: dict[str, Tensor], side: str, module: nn.Module, inputs: object, out: Tensor) -> None:
    heard.setdefault(side, out.detach())


class Stopwatch:
    """How long steps take, and how much of that they wait for data. Saving and scoring do not count.

    `total` is the seconds of all steps so far.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._read_at = self._waited = self._waited_before = 0.0
        self._steps = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around the wait for a step's batch."""
        before = self.total
        with self._running():
            yield
        self._waited += self.total - before

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Around a step's work that comes before the step itself."""
        with self._running():
            yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around the step itself."""
        with self._running():
            yield
        self._steps += 1

    def read(self) -> tuple[float, float]:
        """Seconds a step since the last reading, and the share of them spent waiting; then start anew."""
        seconds = max(self.total - self._read_at, 1e-9)
        reading = seconds / max(1, self._steps), self._waited / seconds
        self._waited_before += self._waited
        self._read_at, self._waited, self._steps = self.total, 0.0, 0
        return reading

    @property
    def waited_share(self) -> float:
        """The share of all steps' time that was spent waiting."""
        return (self._waited_before + self._waited) / max(self.total, 1e-9)

    @contextmanager
    def _running(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.total += time.perf_counter() - begun


def scalars(answer: Answer, weights: dict[str, float]) -> dict[str, dict[str, float]]:
    """Each term's loss, weight and metrics as plain numbers: means over the whole step's batch."""
    names = [(name, metric) for name, term in answer.terms.items() for metric in ("loss", *term.metrics)]
    values = [
        value.detach().reshape(()).to(answer.total.device, torch.float32)
        for term in answer.terms.values()
        for value in (term.loss, *term.metrics.values())
    ]
    found = dict(zip(names, distributed.mean(torch.stack(values)).tolist(), strict=True)) if names else {}
    return {
        name: {"loss": found[name, "loss"], "weight": weights[name]}
        | {metric: found[name, metric] for metric in term.metrics}
        for name, term in answer.terms.items()
    }
