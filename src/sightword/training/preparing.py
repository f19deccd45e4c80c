"""What objectives fit before the first step, such as a visual tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from sightword.objectives.base import Objective
from sightword.randomness import stream
from sightword.training.feed import Steps
from sightword.training.plan import Timetable, make_plan
from sightword.training.pretrainer import Weighted
from sightword.training.progress import Bar
from sightword.training.session import Session
from sightword.training.supply import Supply, fetched
from sightword.training.together import ranks
from sightword.views.on_device import finished
from sightword.words import Batch


def prepare(session: Session, steps: Steps) -> bool:
    """Let objectives fit what they need; returns whether any did, so that it is to be saved."""
    waiting = [w for w in session.model.weighted if type(w.objective).prepare is not Objective.prepare]
    for weighted in waiting:
        _prepare(session, steps, weighted)
    return bool(waiting)


def _prepare(session: Session, steps: Steps, weighted: Weighted) -> None:
    count = weighted.objective.preparation
    source = steps if weighted.source == "pairs" else steps.sight
    assert source is not None, "an objective with a source of its own has the steps of that source"
    plan = Timetable(max(1, count), ((0.0, make_plan([weighted.wants])),))
    own, config = replace(source, plan=plan, sight=None), session.config
    bar = Bar(f"prepare {weighted.name}", count, 0, ranks.leads())
    with bar, Supply(own, 0, count, config.data, session.device.type == "cuda") as batches:
        # After the loaders have started: some kinds of them draw a number then.
        torch.manual_seed(stream("prepare", config.seed, weighted.name))
        weighted.objective.prepare(_shown(session, batches, count, bar))


def _shown(session: Session, batches: Iterator[Batch], count: int, bar: Bar) -> Iterator[Batch]:
    seen = 0
    for _ in range(count):
        batch, error = fetched(batches)
        bad = ranks.shared(ranks.News(bad=batch.bad if batch else (), error=error)).bad
        assert batch is not None, "an error would have been raised"
        seen += session.config.global_batch
        if bad:
            ranks.first(partial(session.quarantine.add, bad, seen))
        yield finished(batch.to(session.device))
        bar.advance(None)
