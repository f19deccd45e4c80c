"""The linear probe: L2-regularised logistic regression by L-BFGS (CLIP, 2103.00020, appendix A.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from sightword.evaluation.features import Encoder
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.logistic import Logistic
from sightword.evaluation.probe import Classifier, Held, Known, Learner, Of
from sightword.evaluation.progress import watched

STRENGTHS = tuple(float(c) for c in np.logspace(-5, 1, 13))  # scikit-learn's C: 1 / L2
PATIENCE = 3  # strengths worse than the best after which weaker regularisation is not tried
ALWAYS = 1e-1  # all up to here are tried: the strongest leave a probe at chance, and chance is noisy
UNSWEPT = 1e-2  # where there are too few examples to hold some out


ROUGH = 1e-4  # how near to the optimum a candidate must come; what is kept comes ten times nearer


@final
class Linear(Learner):
    """Features standardised by the training part.

    Deviations: CLIP searches 96 strengths without standardising; here at most 13, from strong to weak
    regularisation, each fit started from the one before, until three in a row (beyond C = 0.1) are worse
    than the best. The best is fitted again on everything, the split that it was chosen on included. Two
    classes have a weight vector each, as more have, where scikit-learn has one: its C is half of ours.
    """

    name = "linear"

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        sweep = {
            "loss": "multinomial logistic",
            "solver": f"lbfgs, preconditioned, to a gradient of 1e-5; candidates {ROUGH:g}",
            "standardised": True,
            "patience": PATIENCE,
            "patient_from": ALWAYS,
        }
        return {**super().protocol(model, test, train), **sweep, "c_among": list(STRENGTHS)}

    def choose(self, features: Known, labels: Of, held: Held, classes: int) -> Mapping[str, Any]:
        """The strongest regularisation among those that do best."""
        return swept(features, labels, held, classes)

    def fit(self, known: Known, labels: Of, classes: int, chosen: Mapping[str, Any]) -> Classifier:
        fitted = Logistic(known, labels).fit(chosen["c"])
        return lambda asked: fitted.scores(asked, classes)


def swept(features: Known, labels: Of, held: Held, classes: int) -> Mapping[str, Any]:
    """The strongest regularisation among those that do best on what is held out, learned from the rest."""
    if not held.any():
        return {"c": UNSWEPT, "held_out_acc1": None}
    model, asked, truth = Logistic(features[~held], labels[~held]), features[held], labels[held]
    right: dict[float, float] = {}
    for strength in watched(STRENGTHS, len(STRENGTHS), "linear probe"):
        said = model.fit(strength, ROUGH).scores(asked, classes).argmax(dim=1).numpy()
        right[strength] = float((said == truth).mean())
        if strength > ALWAYS and max(list(right.values())[-PATIENCE:]) < max(right.values()):
            break
    best = max(right, key=lambda c: (right[c], -c))
    return {"c": best, "held_out_acc1": right[best]}
