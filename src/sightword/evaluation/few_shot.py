"""Few labels: how well a linear probe does with 1, 2, 4, 8 and 16 examples of each class.

CLIP (2103.00020, figure 6) takes up to 16; several draws of them, each a part of the next larger one, say how
much hangs on which examples were labelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from scipy.optimize import minimize_scalar
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.draws import over_draws
from sightword.evaluation.features import Encoder, FeatureStore, transform
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.linear import ROUGH, STRENGTHS, UNSWEPT
from sightword.evaluation.logistic import Fitted, Logistic
from sightword.evaluation.probe import Known, Of, why_not
from sightword.evaluation.progress import watched
from sightword.evaluation.task import Answer, Task
from sightword.evaluation.zeroshot import SCALE, class_embeddings, prompts_of
from sightword.randomness import stream, uniform
from sightword.training.records import digest

SHOTS = (1, 2, 4, 8, 16)
DRAWS = 5
FOLDS = 4
GAIN = 2.0  # nats of log-likelihood that one fitted number must bring
AMONG = STRENGTHS[::2]
Logits = Float[Tensor, "n c"]


@dataclass(frozen=True)
class Shots:
    """How few labels, and how often they are drawn anew."""

    shots: tuple[int, ...] = SHOTS
    draws: int = DRAWS

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 1 or self.draws < 2:
            raise SightwordError(
                f"cannot learn from {self.shots} labels a class in {self.draws} draws; wanted 1 label or more"
                " and 2 draws or more, whose spread is a part of the interval"
            )
        object.__setattr__(self, "shots", tuple(sorted(set(self.shots))))


@final
class FewShot(Task):
    """The linear probe on few labels, from nothing and, where there is a text tower, from the class names.

    From the class names: what is learned is added to a share of the logits of zero-shot classification, so
    that the penalty draws towards those. The share is the one that makes the labels likeliest before anything
    is learned, and zero unless that is shown (`share_of_text`) and cross-validation is more often right with
    it: logits that are sure and wrong would have to be unlearned first, which few labels and a penalty
    cannot. The strength is chosen by cross-validation in the labelled examples alone, too; one example a
    class leaves nothing to choose on, and takes a fixed one. Classes with fewer give all.

    Args:
        shots: labels a class.
        draws: how often they are drawn.
    """

    name = "fewshot"

    def __init__(self, shots: Sequence[int] = SHOTS, draws: int = DRAWS) -> None:
        self.settings = Shots(tuple(shots), draws)

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        return why_not(test, train)

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        assert train is not None
        assert test.probed is not None
        facts = {
            "transform": transform(model),
            "features": "pooled",
            "target": "groups" if test.groups is not None else "classes",
            "labels": len(test.probed.names),
            "train_data_hash": train.data_hash,
            "shots": list(self.settings.shots),
            "draws": self.settings.draws,
            "loss": "multinomial logistic",
            "standardised": True,
            "c_among": list(AMONG),
            "chosen_on": f"{FOLDS} folds of the shots at most; of one shot C is {UNSWEPT:g}",
        }
        if "text" not in starts(model, test):
            return facts
        return {
            **facts,
            "zeroshot_scale": f"likeliest for the shots, up to {SCALE:g}; 0 unless it gains {GAIN:g} nats",
            "zeroshot_taken": "where the folds are more often right with it; of one shot always",
            "prompts_hash": digest(repr(prompts_of(test))),
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        assert train is not None
        assert train.probed is not None
        assert test.probed is not None
        asked = features.of(test, "pooled")
        truth, clusters = test.probed.of[asked.rows], test.clusters_of(asked.rows)
        counts = np.bincount(
            train.probed.of[features.of(train, "pooled").rows], minlength=len(test.probed.names)
        )
        shots, draws = sorted(self.settings.shots, reverse=True), range(self.settings.draws)
        curves = [Curve(start, k) for start in starts(features.model, test) for k in shots]
        curves = [curve for curve in curves if curve.shots <= counts.max()]
        steps = [(curve, draw) for curve in curves for draw in draws]
        said = {
            step: _said(features, test, train, *step)
            for step in watched(steps, len(steps), f"few labels of {test.name}/{test.split}")
        }
        right = {c.metric: np.stack([said[c, d][0] == truth for d in draws]) for c in curves}
        return Answer(
            tuple(over_draws(metric, rows, clusters) for metric, rows in right.items()),
            _table(test.keys_of(asked.rows), truth, clusters, right),
            test.probed.names,
            {
                "c": {c.metric: [said[c, d][1].strength for d in draws] for c in curves},
                "zeroshot_share": {
                    c.metric: [said[c, d][1].share for d in draws] for c in curves if c.start == "text"
                },
                **_too_few(test.probed.names, counts, self.settings.shots),
            },
        )


class Curve(NamedTuple):
    """One point of a curve: where learning starts from, `nothing` or `text`, and how many labels a class."""

    start: str
    shots: int

    @property
    def metric(self) -> str:
        """Its name in the records."""
        of = f"acc1_{self.shots}_shot{'s' if self.shots > 1 else ''}"
        return of if self.start == "nothing" else f"{of}_from_text"


def starts(model: Encoder, test: LabelledSet) -> tuple[str, ...]:
    """What can be started from: class names only with a text tower, and where classes are what is learned."""
    named = model.has_text and test.groups is None and test.classes is not None
    return ("nothing", "text") if named else ("nothing",)


def places(labels: Of, rows: Int64[np.ndarray, " n"], draw: int) -> Int64[np.ndarray, " n"]:
    """The place of each example among those of its class, from 0, in the order of a draw.

    So the k shots of a draw are the examples at places below k, and are among its 2 k shots. Depends on
    nothing but labels, positions in the set and the draw.
    """
    order = np.lexsort((uniform(0, stream("few shots"), rows, draw, 1)[:, 0], labels))
    found = np.empty(len(labels), dtype=np.int64)
    first = np.searchsorted(labels[order], labels[order])
    found[order] = np.arange(len(labels)) - first
    return found


class Learned(NamedTuple):
    """A classifier of few labels, the strength it was learned with, and its share of the text's logits."""

    fitted: Fitted
    strength: float
    share: float


def learn(known: Known, labels: Of, place: Int64[np.ndarray, " n"], offset: Logits | None) -> Learned:
    """A classifier of a few labelled examples, with the strength that cross-validation in them chose.

    Args:
        known: their features.
        labels: their classes.
        place: of each in its class; folds are made by it, so that each holds examples of every class.
        offset: logits of which learning starts from a share.
    """
    share, folds = 0.0 if offset is None else share_of_text(offset, labels), min(int(place.max()) + 1, FOLDS)
    strength = UNSWEPT
    if folds > 1:
        among = dict.fromkeys((0.0, share))
        tried = {
            s: _best(known, labels, place % folds, None if offset is None else s * offset) for s in among
        }
        share = max(among, key=lambda s: (tried[s][1], -s))
        strength = tried[share][0]
    start = None if offset is None else share * offset
    return Learned(Logistic(known, labels, start).fit(strength), strength, share)


def share_of_text(logits: Logits, labels: Of) -> float:
    """The share, from 0 to 1, of these logits that makes the labels likeliest.

    The logits know nothing of the labels, so one number fitted to few of them is hardly overfitted. Where it
    does not make them likelier by two nats, which logits at chance do in one draw of forty-four (Wilks'
    theorem), it is 0.
    """
    own = torch.from_numpy(labels)[:, None]

    def loss(share: float) -> float:
        return -float((share * logits.double()).log_softmax(dim=1).gather(1, own).sum())

    found = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-4})
    return float(found.x) if found.fun < loss(0.0) - GAIN else 0.0


def _best(
    known: Known, labels: Of, fold: Int64[np.ndarray, " n"], offset: Logits | None
) -> tuple[float, int]:
    """The strongest penalty among those most often right about the fold that was left out; how often."""
    right = dict.fromkeys(AMONG, 0)
    for left_out in range(int(fold.max()) + 1):
        out = fold == left_out
        kept, asked = (None, None) if offset is None else (offset[~out], offset[out])
        model = Logistic(known[~out], labels[~out], kept)
        for strength in AMONG:
            scores = model.fit(strength, ROUGH).scores(known[out], int(labels.max()) + 1, asked)
            right[strength] += int((scores.argmax(dim=1).numpy() == labels[out]).sum())
    best = max(right, key=lambda c: (right[c], -c))
    return best, right[best]


def _said(
    features: FeatureStore, test: LabelledSet, train: LabelledSet, curve: Curve, draw: int
) -> tuple[Int64[np.ndarray, " n"], Learned]:
    """What a classifier of few labels says of each test picture, and the classifier."""
    assert train.probed is not None
    asked, classes = features.of(test, "pooled"), len(train.probed.names)
    text = curve.start == "text"
    prompts = digest(repr(prompts_of(test))) if text else ""
    learned = features.once(
        f"few shots {curve} {draw} {train.data_hash} {prompts}",
        lambda: _learned(features, train, curve, draw, zero_shot(features, train, test) if text else None),
    )
    offset = learned.share * zero_shot(features, test, test) if text else None
    scores = learned.fitted.scores(asked.values["pooled"], classes, offset)
    return scores.argsort(dim=1, descending=True, stable=True)[:, 0].numpy(), learned


def _learned(
    features: FeatureStore, train: LabelledSet, curve: Curve, draw: int, offset: Logits | None
) -> Learned:
    assert train.probed is not None
    found = features.of(train, "pooled")
    labels = train.probed.of[found.rows]
    place = places(labels, found.rows, draw)
    few = np.flatnonzero(place < curve.shots)
    return learn(
        found.values["pooled"][few], labels[few], place[few], None if offset is None else offset[few]
    )


def zero_shot(features: FeatureStore, pictures: LabelledSet, test: LabelledSet) -> Logits:
    """Logits of zero-shot classification of a set's pictures, with the classes and prompts of a test set."""
    prompts = prompts_of(test)
    name = digest(repr(prompts))
    embeddings = features.once(
        f"class embeddings {name}", lambda: class_embeddings(features.model.encode_text, prompts)
    )
    found = features.of(pictures, "projected").values["projected"]
    return SCALE * F.normalize(torch.from_numpy(found), dim=-1) @ embeddings.T


def _too_few(names: Sequence[str], counts: Int64[np.ndarray, " c"], shots: Sequence[int]) -> dict[str, Any]:
    """The classes that have fewer examples than shots, and how many; shots that no class has are left out."""
    missing = {k: np.flatnonzero(counts < k) for k in shots}
    fewer = {
        str(k): {names[c]: int(counts[c]) for c in few.tolist()} for k, few in missing.items() if len(few)
    }
    left_out = [k for k in shots if k > counts.max()]
    return {"fewer_examples": fewer, "shots_left_out": left_out}


def _table(
    keys: Sequence[str],
    truth: Int64[np.ndarray, " n"],
    clusters: Sequence[str],
    right: Mapping[str, Bool[np.ndarray, "draws n"]],
) -> pa.Table:
    """One row for each picture: in how many of the draws it was right, as a share."""
    shares = {metric: rows.mean(axis=0) for metric, rows in right.items()}
    named = pa.array(clusters, pa.string()) if clusters else pa.nulls(len(keys), pa.string())
    return pa.table({"key": pa.array(keys, pa.string()), "cluster": named, "label": truth, **shares})
