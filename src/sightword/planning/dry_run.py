"""The program itself as its first, middle and last process of many: a step of each, without the machines.

What is real: the configuration's checks, the order over all pairs, each process's slice, the session, the
wrapping for several processes, the step that the loop takes, and its collectives' shapes. What is imagined:
weights, pictures, and whatever other processes would send.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.mixture import make_order
from sightword.planning import ledger as purposes
from sightword.planning.counted import Counted
from sightword.planning.devices import GIB
from sightword.planning.pretending import one_of
from sightword.planning.stage import Stage, stage
from sightword.training.data import own_pairs
from sightword.training.feed import Steps


@dataclass(frozen=True)
class Seen:
    """What one process did.

    first, last: of its rows among the rows of the step.
    hash: of the order that it sees.
    peak: bytes.
    shapes: of its views and captions.
    """

    rank: int
    step: int
    first: int
    last: int
    hash: str
    peak: int
    shapes: list[list[int]]


def dry_run(config: Config, ranks: int, pairs: int, told: Callable[[str], None]) -> dict[str, Any]:
    """Run a step as the first, the middle and the last process, and compare what they saw.

    Args:
        config: the run; its data is opened where it lies here.
        ranks: processes.
        pairs: as many are counted where the data does not lie here.
        told: hears what is being done.

    Raises:
        SightwordError: the processes would not train as one, or something else would stop the run.
    """
    told("order")
    source = _source(config, pairs)
    begun = time.perf_counter()
    order = make_order(source.counts, source.parts, config.data.upsampling, config.seed, config.data.window)
    order.batch(0, config.global_batch)
    ordered = time.perf_counter() - begun
    seen = []
    for rank in sorted({0, ranks // 2, ranks - 1}):
        told(f"process {rank} of {ranks}")
        with one_of(ranks, rank):
            with stage(config, progress=0.5, pairs=source) as run:
                _check_slices(run, ranks)
                seen.append(_step(run, rank))
            if rank == 0 and not isinstance(source, Counted):
                told("its pictures")
                _check_pictures(run)
    _check_agreement(seen)
    return _found(config, ranks, source, seen, ordered)


def _source(config: Config, pairs: int) -> Pairs:
    try:
        return own_pairs(config)
    except SightwordError:
        if not pairs:
            raise
        return Counted(pairs)


def _step(run: Stage, rank: int) -> Seen:
    """What the loop does in a step that it records, and the update."""
    run.make_state()
    ledger = run.imagination.ledger
    ledger.restart()
    with ledger.purpose(purposes.BACKWARD):
        outcome = run.stepper.forward_backward(run.step, run.batch, measured=False, gradients=False)
        run.stepper.update(run.step)
    steps = run.session.steps(None)
    rows = steps.own_rows
    assert len(outcome.answer.terms) == len(run.session.model.active(run.session.progress(run.step)))
    shapes = [list(images.shape) for images in run.batch.views.values()]
    shapes += [list(words.ids.shape) for words in run.batch.captions.values()]
    order_hash = run.session.order.digest(steps.batch_size)
    return Seen(rank, run.step, rows.start, rows.stop - 1, order_hash, ledger.peak, shapes)


def _check_slices(run: Stage, ranks: int) -> None:
    """That all processes' rows together are the step's, each once, at the start, here and at the end."""
    steps = run.session.steps(None)
    for step in (0, run.step, run.session.total - 1):
        _, every = steps.order.batch(step, steps.batch_size)
        parts = [every[_as(steps, rank).own_rows] for rank in range(ranks)]
        whole = np.concatenate(parts)
        if not np.array_equal(whole, every) or len(np.unique(every)) != len(every):
            raise SightwordError(f"step {step}: {ranks} processes would not see each of its samples once")
    own = run.batch.ids.numpy()
    _, every = steps.order.batch(run.step, steps.batch_size)
    if not np.array_equal(own, every[steps.own_rows]):
        raise SightwordError(f"process {steps.rank} would see other samples than are its own")


def _check_pictures(run: Stage) -> None:
    """That the data's own batch, read and decoded, has the shapes that were rehearsed."""
    batch = run.session.steps(None)[run.step]
    expected, made = ({v: tuple(x.shape) for v, x in b.views.items()} for b in (run.batch, batch))
    if made != expected or len(batch.keys) != len(run.batch.keys):
        raise SightwordError(f"views have the shapes {made.values()}, expected {expected.values()}")


def _as(steps: Steps, rank: int) -> Steps:
    return replace(steps, rank=rank)


def _check_agreement(seen: list[Seen]) -> None:
    hashes = {one.hash for one in seen}
    if len(hashes) > 1:
        raise SightwordError(f"the processes would follow different orders: {', '.join(sorted(hashes))}")
    shapes = {repr(one.shapes) for one in seen}
    if len(shapes) > 1:
        raise SightwordError(f"the processes would have different shapes: {'; '.join(sorted(shapes))}")


def _found(config: Config, ranks: int, source: Pairs, seen: list[Seen], ordered: float) -> dict[str, Any]:
    counted = isinstance(source, Counted)
    first = seen[0]
    told = {
        "data": f"{len(source):,} pairs in {len(source.counts):,} shards{', counted' if counted else ''}",
        "order": f"{ordered:.2f} s; hash {first.hash}",
        "slices": f"{ranks} processes see each of {config.global_batch:,} samples once, at three steps",
        "shapes": "; ".join(" x ".join(map(str, shape)) for shape in first.shapes),
    }
    for one in seen:
        told[f"process {one.rank}"] = f"rows {one.first:,} to {one.last:,}; peak {one.peak / GIB:.2f} GiB"
    return {
        "pairs": len(source),
        "shards": len(source.counts),
        "counted": counted,
        "order_seconds": ordered,
        "ranks": [asdict(one) for one in seen],
        "told": told,
    }
