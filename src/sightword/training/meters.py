"""What is measured of a step beside its loss."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sightword.training.pretrainer import Answer


def term_gradient_norms(answer: Answer, tower: nn.Module) -> dict[str, float]:
    """The L2 norm of each term's own gradient, unweighted, on the shared image tower.

    Costs a backward pass for each term. Call before the step's own: the graph is kept.
    """
    parameters = [p for p in tower.parameters() if p.requires_grad]
    norms = {}
    for name, term in answer.terms.items():
        gradients = torch.autograd.grad(term.loss, parameters, retain_graph=True, allow_unused=True)
        norms[name] = float(torch.nn.utils.get_total_norm([g for g in gradients if g is not None]))
    return norms


class Stopwatch:
    """How long steps take, and how much of that they wait for data. Saving and scoring do not count.

    `total` is the seconds of all steps so far.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._read_at = self._waited = 0.0
        self._steps = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around the wait for a step's batch."""
        before = self.total
        with self._running():
            yield
        self._waited += self.total - before

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
        self._read_at, self._waited, self._steps = self.total, 0.0, 0
        return reading

    @contextmanager
    def _running(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.total += time.perf_counter() - begun


def scalars(answer: Answer, weights: dict[str, float]) -> dict[str, dict[str, float]]:
    """Each term's loss, weight and metrics, as plain numbers."""
    return {
        name: {"loss": float(term.loss.detach()), "weight": weights[name]}
        | {metric: float(value) for metric, value in term.metrics.items()}
        for name, term in answer.terms.items()
    }
