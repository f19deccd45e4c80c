"""The answers a head chooses among: those of the training part that are frequent enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_matrix

from sightword.errors import SightwordError
from sightword.evaluation.progress import watched
from sightword.evaluation.vqa.questions import QuestionSet

ROWS = 4096  # questions between two looks at the clock


@dataclass(frozen=True)
class Vocabulary:
    """Answers, the most frequent first, equally frequent ones in the order of the alphabet."""

    answers: tuple[str, ...]

    @classmethod
    def of(cls, train: QuestionSet) -> Vocabulary:
        """The agreed answers that occur at least `rule.least` times in a training part.

        Deviation: the 3,129 answers that are customary for VQA v2 were counted over its validation part too,
        on which we report. Here only what may be learned from counts, so there are fewer.

        Raises:
            SightwordError: when there are fewer than two.
        """
        counts = Counter(map(train.rule.spelled, train.questions.agreed))
        frequent = [(-count, answer) for answer, count in counts.items() if count >= train.rule.least]
        if len(frequent) < 2:
            raise SightwordError(
                f"{train.name}/{train.split} has {len(frequent)} answers that occur {train.rule.least} times;"
                " wanted two to choose among: give more of the training part"
            )
        return cls(tuple(answer for _, answer in sorted(frequent)))

    @cached_property
    def position(self) -> dict[str, int]:
        """Where an answer stands."""
        return {answer: i for i, answer in enumerate(self.answers)}

    def targets(self, part: QuestionSet) -> csr_matrix:
        """What each answer would score on each question, float64 of shape (questions, answers)."""
        rows, columns, values = list[int](), list[int](), list[float]()
        people = part.questions.answers
        for start in watched(range(0, len(people), ROWS), len(people), f"answers of {part.name}", ROWS):
            for row, said in enumerate(people[start : start + ROWS], start):
                for answer, worth in part.rule.worth(said).items():
                    if answer in self.position:
                        rows.append(row)
                        columns.append(self.position[answer])
                        values.append(worth)
        shape = (len(people), len(self.answers))
        return csr_matrix((np.array(values), (rows, columns)), shape=shape)

    def scores(
        self, part: QuestionSet, rows: Int64[np.ndarray, " m"], chosen: Int64[np.ndarray, " m"]
    ) -> Float64[np.ndarray, " m"]:
        """What the chosen answers score on some questions."""
        people, rule = part.questions.answers, part.rule
        pairs = zip(rows, chosen, strict=True)
        return np.array([rule.score(self.answers[c], people[r]) for r, c in pairs], dtype=np.float64)
