"""What takes a training step and is timed, and how: sides take turns in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

LOSS, NORM = 2e-5, 1e-3  # how far the first loss and the gradient's length may differ, relative
_FEW = 4  # rows on which FLOPs are counted


class AbsentError(Exception):
    """A peer that cannot be run here; the message says why."""


@dataclass(frozen=True)
class Side:
    """Somebody's training step on one batch that is in memory already.

    step: forward, backward, optimizer, and what follows it.
    first: the loss and the gradient's L2 norm in float32, weights left as they are.
    flops: of a step, counted in what it really computes.
    """

    name: str
    precision: str
    step: Callable[[], None]
    first: Callable[[], tuple[float, float]]
    flops: float
    rows: int


def agree(ours: Side, theirs: Side) -> dict[str, float]:
    """How far two sides are apart before either has trained.

    Raises:
        SystemExit: further than rounding explains: they would not do the same work.
    """
    (loss, norm), (their_loss, their_norm) = ours.first(), theirs.first()
    found = {
        "loss": their_loss,
        "loss_off": abs(loss / their_loss - 1),
        "norm_off": abs(norm / their_norm - 1),
    }
    if not (found["loss_off"] <= LOSS and found["norm_off"] <= NORM):
        raise SystemExit(
            f"{ours.name} and {theirs.name} do not compute the same: losses {loss:.7f} and {their_loss:.7f}"
            f" (at most {LOSS:g} apart), gradients {norm:.5f} and {their_norm:.5f} long (at most {NORM:g});"
            " nothing was timed"
        )
    return found


def in_turns(
    sides: Sequence[Side],
    rounds: int,
    done: Callable[[], object] = lambda: None,
    settle: Callable[[Side], object] | None = None,
) -> list[list[float]]:
    """Seconds of every side's steps. Unless sides settle, the first round warms up and does not count.

    Args:
        sides: who takes steps.
        rounds: that count.
        done: is called after each round.
        settle: is called before each step, and not timed.
    """
    warm = 0 if settle else 1
    times: list[list[float]] = [[] for _ in sides]
    for number in range(warm + rounds):
        for side, own in zip(sides, times, strict=True):
            if settle:
                settle(side)
            taken = timed(side.step)
            if number >= warm:
                own.append(taken)
        done()
    return times


def timed(step: Callable[[], object]) -> float:
    """Seconds of one call, a GPU's work included."""
    _finish()
    begun = time.perf_counter()
    step()
    _finish()
    return time.perf_counter() - begun


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    """How many times as fast: of each round, their median and quartiles."""
    each = [a / b for a, b in zip(theirs, ours, strict=True)]
    return {"ratio": statistics.median(each), "quartiles": list(quartiles(each)), "rounds": len(each)}


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third; of fewer than three numbers the least and the most."""
    if len(values) < 3:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def counted(work: Callable[[], Any], rows: int, few: int = _FEW) -> float:
    """FLOPs of a forward and backward of `few` rows, scaled to `rows`."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() * rows / few
