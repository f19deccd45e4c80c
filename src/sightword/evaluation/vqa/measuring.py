"""From answered questions to accuracies with intervals, and to the table of outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from sightword.evaluation.measures import Measured, credit, share
from sightword.evaluation.vqa.learning import Pool
from sightword.evaluation.vqa.vocabulary import Vocabulary
from sightword.statistics import Interval, bootstrap_mean, wilson

ACCURACY = "vqa_accuracy"
BLIND, GAINED, CEILING = (f"{ACCURACY}_{what}" for what in ("question_only", "gained", "ceiling"))


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers to the questions of a pool.

    pool: the questions. looking, blind: ids of the answers with and without the picture, shape (n,).
    """

    pool: Pool
    vocabulary: Vocabulary
    looking: Int64[np.ndarray, " n"]
    blind: Int64[np.ndarray, " n"]

    @cached_property
    def scores(self) -> dict[str, Float64[np.ndarray, " n"]]:
        """What each answer scores with and without the picture, and what the best known one would."""
        part, rows = self.pool.part, self.pool.rows
        return {
            ACCURACY: self.vocabulary.scores(part, rows, self.looking),
            BLIND: self.vocabulary.scores(part, rows, self.blind),
            CEILING: self.pool.ceiling,
        }


def measured(answered: Answered) -> tuple[Measured, ...]:
    """The accuracy, what it is without the picture, what is gained by looking, the ceiling, and by kind.

    `vqa_accuracy_question_only` is of a head that never sees a picture, trained by the same recipe;
    `vqa_accuracy_gained` the paired difference to it; `vqa_accuracy_ceiling` what the best choice among the
    learned answers would score. Intervals resample pictures with all their questions.
    """
    part, rows, seen = answered.pool.part, answered.pool.rows, answered.scores[ACCURACY]
    pictures = np.asarray(part.picture_keys(rows))
    scores = {**answered.scores, GAINED: seen - answered.scores[BLIND]}
    kinds = [part.questions.kinds[row] for row in rows]
    told = sorted({kind for some in kinds for kind in some})
    among = {kind: np.array([kind in some for some in kinds]) for kind in told}
    return (
        *(mean(metric, values, pictures) for metric, values in scores.items()),
        *(mean(f"{ACCURACY}@{kind}", seen[mine], pictures[mine]) for kind, mine in among.items()),
    )


def mean(metric: str, values: Float64[np.ndarray, " n"], pictures: np.ndarray) -> Measured:
    """The mean of scores in [0, 1], or of differences in [-1, 1], with an interval clustered by picture."""
    clusters = pictures.tolist() if len(np.unique(pictures)) < len(pictures) else []
    if metric == GAINED:
        return _gain(values, clusters)
    whole = bool(np.isin(values, (0.0, 1.0)).all())
    return share(metric, values == 1.0, clusters) if whole else credit(metric, values, clusters)


def _gain(values: Float64[np.ndarray, " n"], clusters: Sequence[str]) -> Measured:
    """A mean of differences between -1 and 1."""
    units = len(set(clusters)) or len(values)
    over = " over clusters" if clusters else ""
    if np.ptp(values) > 0:
        interval = bootstrap_mean(values, clusters=np.asarray(clusters) if clusters else None)
        return Measured(GAINED, interval, len(values), f"bca bootstrap{over}")
    # No resample differs from another, which does not make the number certain.
    value, doubt = float(values[0]), wilson(0, units).high
    interval = Interval(value, max(-1.0, value - doubt), min(1.0, value + doubt))
    return Measured(GAINED, interval, len(values), f"wilson{over}")


def outcomes_table(answered: Answered) -> pa.Table:
    """One row for each question.

    key, cluster (its picture), question, kinds, detail, answers (what people said), predicted, correct (the
    whole score), predicted_question_only, and what is scored with the picture, without it and at best.
    """
    part, rows, answers = answered.pool.part, answered.pool.rows, answered.vocabulary.answers
    asked = part.questions
    return pa.table(
        {
            "key": pa.array([asked.keys[row] for row in rows], pa.string()),
            "cluster": pa.array(part.picture_keys(rows), pa.string()),
            "question": pa.array([asked.texts[row] for row in rows], pa.string()),
            "kinds": pa.array([asked.kinds[row] for row in rows], pa.list_(pa.string())),
            "detail": pa.array([asked.details[row] for row in rows], pa.string()),
            "answers": pa.array([asked.answers[row] for row in rows], pa.list_(pa.string())),
            "predicted": pa.array([answers[i] for i in answered.looking], pa.string()),
            "correct": answered.scores[ACCURACY] == 1.0,
            "predicted_question_only": pa.array([answers[i] for i in answered.blind], pa.string()),
            ACCURACY: answered.scores[ACCURACY],
            BLIND: answered.scores[BLIND],
            "ceiling": answered.scores[CEILING],  # not by the metric's name: of all runs alike, not compared
        }
    )
