"""Every mixture scored on the validation pairs and the reference: the curve of WiSE-FT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sightword.adapting import scoring
from sightword.adapting.choice import Point
from sightword.adapting.mixing import mixture
from sightword.adapting.scoring import Change, Scoring
from sightword.statistics import Interval
from sightword.training.model import Model
from sightword.training.records import digest, file_digest
from sightword.training.tensors import read_tensors


@dataclass(frozen=True)
class Ends:
    """The two models that are mixed, as files of weights, and what they have alike.

    model: that of the first file; its encoders are lent to the mixtures.
    """

    start: Path
    end: Path
    model: Model
    trained: tuple[int, int, float]  # step, samples and FLOPs behind the second

    def at(self, alpha: float) -> Model:
        """A mixture; it shares its encoders with every other, so one is used at a time."""
        self.model.encoders.load_state_dict(self.tensors(alpha))
        step, samples, flops = self.trained if alpha else (0, 0, 0.0)
        model, name = self.model, f"alpha {alpha:g}"
        return Model(
            name, model.config, model.encoders, model.tokenizer, self.hash_at(alpha), (step, samples, flops),
            str(model.device),
        )  # fmt: skip

    def tensors(self, alpha: float) -> dict[str, Tensor]:
        """Its weights.

        Raises:
            SightwordError: the two models are not of one kind.
        """
        return mixture(read_tensors(self.start), read_tensors(self.end), alpha)

    def hash_at(self, alpha: float) -> str:
        """Names the weights of a mixture."""
        made = f"{file_digest(self.start)} {file_digest(self.end) if alpha else ''} {alpha:.6f}"
        return digest(made)


def folder_of(folder: Path, alpha: float) -> Path:
    """Where the scores of a mixture lie."""
    return folder / f"alpha-{alpha:.6g}"


def score(ends: Ends, alphas: Sequence[float], folder: Path, places: Sequence[str], by: Scoring) -> None:
    """Score the mixtures that are not scored yet.

    Raises:
        SightwordError: a set is broken, the two models are not of one kind, or the disk is full.
    """
    for done, alpha in enumerate(alphas, 1):
        by(ends.at(alpha), folder_of(folder, alpha), places)
        by.say(f"mixture {done} of {len(alphas)} scored: alpha {alpha:g}")


def points(ends: Ends, alphas: Sequence[float], folder: Path) -> list[Point]:
    """The curve, from what was scored.

    Raises:
        SightwordError: something was not scored, or cannot be compared.
    """
    return [_point(ends, alpha, folder) for alpha in alphas]


def _point(ends: Ends, alpha: float, folder: Path) -> Point:
    mixed, same = folder_of(folder, alpha), Interval(0.0, 0.0, 0.0)
    scores = scoring.scores_of(mixed, ends.hash_at(alpha))
    own, reference = scoring.own_of(scores), scoring.reference_of(scores)
    if not alpha:
        return Point(alpha, own, same, reference, same, same, "")
    change = Change.between(folder_of(folder, 0.0), mixed)
    worst = change.worst
    name = f"{worst.dataset}/{worst.split}"
    return Point(alpha, own, change.own, reference, change.reference, worst.difference, name)
