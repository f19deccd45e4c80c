"""What is measured of a step beside its loss."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from sightword.training.pretrainer import Answer


def term_gradient_norms(answer: Answer, tower: nn.Module) -> dict[str, float]:
    """The L2 norm of each term's own gradient, unweighted, on the shared image tower.

    Call before the step's backward pass: the graph is kept.
    """
    parameters = [p for p in tower.parameters() if p.requires_grad]
    norms = {}
    for name, term in answer.terms.items():
        gradients = torch.autograd.grad(term.loss, parameters, retain_graph=True, allow_unused=True)
        norms[name] = float(torch.nn.utils.get_total_norm([g for g in gradients if g is not None]))
    return norms


class Stopwatch:
    """Seconds spent waiting for data and seconds in all, since the last reading."""

    def __init__(self) -> None:
        self.started = self._mark = time.perf_counter()
        self._waited = 0.0
        self._steps = 0

    def waited(self, seconds: float) -> None:
        """Count a step and the time that it waited for its batch."""
        self._waited += seconds
        self._steps += 1

    def read(self) -> tuple[float, float]:
        """Seconds a step, and the share of them spent waiting; then start anew."""
        now = time.perf_counter()
        seconds = max(now - self._mark, 1e-9)
        reading = seconds / max(1, self._steps), self._waited / seconds
        self._mark, self._waited, self._steps = now, 0.0, 0
        return reading


def scalars(answer: Answer, weights: dict[str, float]) -> dict[str, dict[str, float]]:
    """Each term's loss, weight and metrics, as plain numbers."""
    return {
        name: {"loss": _number(term.loss), "weight": weights[name]}
        | {k: _number(v) for k, v in term.metrics.items()}
        for name, term in answer.terms.items()
    }


def _number(value: Tensor) -> float:
    return float(value.detach())
