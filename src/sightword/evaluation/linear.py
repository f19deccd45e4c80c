"""The linear probe: L2-regularised logistic regression by L-BFGS (CLIP, 2103.00020, appendix A.3)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Float64
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from sightword.evaluation.features import Encoder
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.probe import Asked, Classifier, Held, Known, Learner, Of
from sightword.evaluation.progress import watched

STRENGTHS = tuple(float(c) for c in np.logspace(-5, 1, 13))  # scikit-learn's C: 1 / L2
ITERATIONS = 1000
PATIENCE = 3  # strengths worse than the best after which weaker regularisation is not tried
ALWAYS = (
    1e-1  # every strength up to here is tried: the strongest leave a probe at chance, and chance is noisy
)


@final
class Linear(Learner):
    """Features standardised by the training part, in float64.

    Deviation: CLIP searches 96 strengths without standardising; here at most 13, from strong to weak
    regularisation, each fit started from the one before, until three in a row (beyond C = 0.1) are worse
    than the best.
    The best is fitted again on the whole training part.
    """

    name = "linear"

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        sweep = {
            "loss": "multinomial logistic",
            "solver": "lbfgs",
            "standardised": True,
            "patience": PATIENCE,
            "patient_from": ALWAYS,
        }
        return {**super().protocol(model, test, train), **sweep, "c_among": list(STRENGTHS)}

    def choose(self, features: Known, labels: Of, held: Held, classes: int) -> Mapping[str, Any]:
        """The strongest regularisation among those that do best."""
        if not held.any():
            return {"c": 1e-2, "held_out_acc1": None}
        rest, asked = standardised(features[~held], features[held])
        model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
        right: dict[float, float] = {}
        for strength in watched(STRENGTHS, len(STRENGTHS), "linear probe"):
            model.C = strength
            _fit(model, rest, labels[~held])
            right[strength] = float(model.score(asked, labels[held]))
            if strength > ALWAYS and max(list(right.values())[-PATIENCE:]) < max(right.values()):
                break
        best = max(right, key=lambda c: (right[c], -c))
        return {"c": best, "held_out_acc1": right[best]}

    def fit(self, known: Known, labels: Of, classes: int, chosen: Mapping[str, Any]) -> Classifier:
        train, _ = standardised(known, known)
        model = LogisticRegression(C=chosen["c"], max_iter=ITERATIONS)
        _fit(model, train, labels)

        def classify(asked: Asked) -> Float[Tensor, "m c"]:
            logits = np.full((len(asked), classes), -np.inf)
            logits[:, model.classes_] = model.predict_log_proba(standardised(known, asked)[1])
            return torch.from_numpy(logits)

        return classify


def standardised(known: Known, asked: Asked) -> tuple[Float64[np.ndarray, "n d"], Float64[np.ndarray, "m d"]]:
    """Both with the mean and standard deviation of the known features taken out."""
    base = known.astype(np.float64)
    mean, spread = base.mean(axis=0), base.std(axis=0)
    spread[spread == 0] = 1.0
    return (base - mean) / spread, (asked.astype(np.float64) - mean) / spread


def _fit(model: LogisticRegression, features: Float64[np.ndarray, "n d"], labels: Of) -> None:
    with warnings.catch_warnings():
        # A fit of weak regularisation that is cut off is a candidate like any other: it is judged held out.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels)
