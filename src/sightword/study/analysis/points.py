"""The table that a study is analysed from: one point for each run and thing it was evaluated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float64


@dataclass(frozen=True, order=True)
class Question:
    """What is asked of a grid of runs.

    budget: what the arms have alike, "samples" or "flops".
    dataset: its name; `MEAN` stands for the mean over the data sets of a task, and metric then for each
        one's own.
    """

    budget: str
    model: str
    dataset: str
    task: str
    metric: str

    @property
    def is_mean(self) -> bool:
        """Whether it is about the mean over data sets."""
        return self.dataset == MEAN


MEAN = "mean over data sets"


@dataclass(frozen=True, eq=False)
class Point:
    """One number of one run.

    size: samples of the corpus that the run was trained on; subsets of one seed are nested.
    value: between 0 and 1, higher is better.
    n: test examples.
    influences: of each unit of test examples (an example, or a cluster of them), how far it pulls the value,
        shape (units,): a sum of squares is the square of the standard error, and products of two runs'
        influences sum to their covariance. In one order for all points of a data set, task and metric.
        With them arms, seeds and sizes are paired example by example.
    error: the value's standard error, where there are no influences; else that of n independent answers.
    headline: whether this is the data set's own metric, which the mean over data sets takes.
    """

    objective: str
    size: int
    seed: int
    budget: str
    model: str
    dataset: str
    task: str
    metric: str
    value: float
    n: int
    influences: Float64[np.ndarray, " units"] | None = None
    error: float | None = None
    headline: bool = True

    @property
    def question(self) -> Question:
        """What it helps to answer."""
        return Question(self.budget, self.model, self.dataset, self.task, self.metric)

    @property
    def standard_error(self) -> float:
        """Of the test examples' sampling alone."""
        if self.influences is not None:
            return float(np.sqrt(self.influences @ self.influences))
        if self.error is not None:
            return self.error
        return float(np.sqrt(self.value * (1 - self.value) / self.n))


def mean_influences(
    values: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"], clusters: npt.ArrayLike | None = None
) -> Float64[np.ndarray, " units"]:
    """How far each example, or each cluster of examples (in order of name), pulls the mean of values."""
    numbers = np.asarray(values, dtype=np.float64)
    apart = (numbers - numbers.mean()) / len(numbers)
    return apart if clusters is None else np.bincount(np.unique(clusters, return_inverse=True)[1], apart)
