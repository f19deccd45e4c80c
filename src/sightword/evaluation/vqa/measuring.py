"""From answered questions to accuracies with intervals, and to the table of outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from sightword.evaluation.measures import Measured, share
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.vocabulary import Vocabulary
from sightword.statistics import Interval, bootstrap_mean, wilson

ACCURACY = "vqa_accuracy"
BLIND, GAINED, CEILING = (f"{ACCURACY}_{what}" for what in ("question_only", "gained", "ceiling"))


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers to some questions of a set, all of shape (n,).

    rows: the questions. looking, blind: ids of the answers with and without the picture.
    """

    part: QuestionSet
    vocabulary: Vocabulary
    rows: Int64[np.ndarray, " n"]
    looking: Int64[np.ndarray, " n"]
    blind: Int64[np.ndarray, " n"]

    def scores(self) -> dict[str, Float64[np.ndarray, " n"]]:
        """What each answer scores with and without the picture, and what the best known one would."""
        part, rows, vocabulary = self.part, self.rows, self.vocabulary
        return {
            ACCURACY: vocabulary.scores(part, rows, self.looking),
            BLIND: vocabulary.scores(part, rows, self.blind),
            CEILING: vocabulary.ceiling(part, rows),
        }


def measured(answered: Answered) -> tuple[Measured, ...]:
    """The accuracy, what it is without the picture, what is gained by looking, the ceiling, and by kind.

    `vqa_accuracy_question_only` is of a head that never sees a picture, trained by the same recipe;
    `vqa_accuracy_gained` the paired difference to it; `vqa_accuracy_ceiling` what the best choice among the
    learned answers would score. Intervals resample pictures with all their questions.
    """
    pictures = np.asarray(answered.part.picture_keys(answered.rows))
    scores = answered.scores()
    seen = scores[ACCURACY]
    scores[GAINED] = seen - scores[BLIND]
    kinds = [answered.part.questions.kinds[row] for row in answered.rows]
    told = sorted({kind for some in kinds for kind in some})
    among = {kind: np.array([kind in some for some in kinds]) for kind in told}
    return (
        *(mean(metric, values, pictures) for metric, values in scores.items()),
        *(mean(f"{ACCURACY}@{kind}", seen[mine], pictures[mine]) for kind, mine in among.items()),
    )


def mean(metric: str, values: Float64[np.ndarray, " n"], pictures: np.ndarray) -> Measured:
    """The mean of scores in [0, 1], or of differences in [-1, 1], with an interval clustered by picture."""
    units, n = len(np.unique(pictures)), len(values)
    clusters = pictures.tolist() if units < n else []
    if np.isin(values, (0.0, 1.0)).all() and metric != GAINED:
        return share(metric, values == 1.0, clusters)
    if (values == values[0]).all():
        # No resample differs from another, which does not make the number certain.
        doubt, least = wilson(0, units).high, -1.0 if metric == GAINED else 0.0
        value = float(values[0])
        ends = Interval(value, max(least, value - doubt), min(1.0, value + doubt))
        return Measured(metric, ends, n, "wilson over clusters")
    interval = bootstrap_mean(values, clusters=pictures)
    return Measured(metric, interval, n, f"bca bootstrap{' over clusters' if clusters else ''}")


def outcomes_table(answered: Answered) -> pa.Table:
    """One row for each question.

    key, cluster (its picture), question, kinds, detail, answers (what people said), predicted, correct (the
    whole score), predicted_question_only, and what is scored with the picture, without it and at best.
    """
    asked, rows = answered.part.questions, answered.rows
    scores, answers = answered.scores(), answered.vocabulary.answers

    return pa.table(
        {
            "key": pa.array([asked.keys[row] for row in rows], pa.string()),
            "cluster": pa.array(answered.part.picture_keys(rows), pa.string()),
            "question": pa.array([asked.texts[row] for row in rows], pa.string()),
            "kinds": pa.array([asked.kinds[row] for row in rows], pa.list_(pa.string())),
            "detail": pa.array([asked.details[row] for row in rows], pa.string()),
            "answers": pa.array([asked.answers[row] for row in rows], pa.list_(pa.string())),
            "predicted": pa.array([answers[i] for i in answered.looking], pa.string()),
            "correct": scores[ACCURACY] == 1.0,
            "predicted_question_only": pa.array([answers[i] for i in answered.blind], pa.string()),
            **scores,
        }
    )
