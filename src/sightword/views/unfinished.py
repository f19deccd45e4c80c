"""What is left to do to the colours of views that were only cut, as a few small tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int

from sightword.views.colour import ORDERS
from sightword.views.drawn import DrawnColours, Epochs, draw_colours
from sightword.views.native.kernel import blur_kernels
from sightword.words import Colours, Task, View

_STEPS = ("brightness", "contrast", "saturation", "hue")
Part = tuple[Task, Int[np.ndarray, " n"], Float[np.ndarray, "n taps"]]  # what, to whom, by how much


def left_to_do(
    views: Iterable[View], seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs
) -> dict[View, Colours]:
    """What `make_views` without colours leaves to `on_device.finish`; views with nothing to do are not in it.

    Args:
        views: that were made.
        seed: the run's seed.
        ids: global sample ids, which the randomness is keyed by.
        epochs: the epoch in which each sample is seen, or one for all.
    """
    drawn = {view: draw_colours(view, seed, ids, epochs) for view in views}
    return {view: colours for view, one in drawn.items() if (colours := as_tasks(one)).tasks}


def as_tasks(drawn: DrawnColours) -> Colours:
    """What chance made of each sample, sorted by what is to be done."""
    parts = [part for part in _parts(drawn) if part[0].count]
    most = max((task.taps for task, _, _ in parts), default=0)
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(rows for _, rows, _ in parts)])
    amounts = np.zeros((len(rows), most), dtype=np.float32)
    first = 0
    for task, _, part in parts:
        amounts[first : first + task.count, : task.taps] = part
        first += task.count
    return Colours(tuple(task for task, _, _ in parts), torch.from_numpy(rows), torch.from_numpy(amounts))


def _parts(drawn: DrawnColours) -> Iterator[Part]:
    """In the order of `pipeline.recolour`."""
    yield from _jitter(drawn)
    yield _alike("gray", np.flatnonzero(drawn.gray))
    weights, spans = blur_kernels(len(drawn.gray), drawn.blurred, drawn.sigma)
    for span in np.unique(spans[spans > 0]).tolist():
        rows = np.flatnonzero(spans == span)
        yield Task("blur", len(rows), span + 1), rows, weights[rows, : span + 1]
    yield _alike("solarize", np.flatnonzero(drawn.solarized))


def _jitter(drawn: DrawnColours) -> Iterator[Part]:
    """Whoever has a step in the first place of its order comes together, then in the second, and so on."""
    if drawn.jitter is None:
        return
    steps = np.array(ORDERS)[drawn.jitter.order]
    for place in range(len(_STEPS)):
        for step, name in enumerate(_STEPS):
            rows = np.flatnonzero(drawn.jittered & (steps[:, place] == step))
            yield Task(name, len(rows)), rows, drawn.jitter.amounts[rows, step : step + 1]  # type: ignore[arg-type]


def _alike(what: str, rows: Int[np.ndarray, " n"]) -> Part:
    return Task(what, len(rows)), rows, np.zeros((len(rows), 1))  # type: ignore[arg-type]
