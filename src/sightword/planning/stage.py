"""Everything of a run that a step needs, with weights and pictures that are only imagined."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from sightword import distributed
from sightword.config import Config
from sightword.pairs.base import Pairs
from sightword.pairs.mixture import make_order
from sightword.pairs.quarantine import Quarantine
from sightword.planning import ledger as purposes
from sightword.planning.counted import Counted
from sightword.planning.imagining import Imagination
from sightword.planning.ledger import Ledger
from sightword.planning.like_cuda import like_cuda
from sightword.planning.naming import told_apart
from sightword.planning.sizes import without_contents
from sightword.towers.momentum import Follower
from sightword.training.checks import total_steps
from sightword.training.counting import unlearned
from sightword.training.optimizer import make_optimizer
from sightword.training.plan import EncodingPlan
from sightword.training.pretrainer import Pretrainer
from sightword.training.session import Session
from sightword.training.stepping import Stepper
from sightword.training.together.engine import Replicated, make_engine
from sightword.training.together.parallel import shard
from sightword.words import Batch, Source, Words

Kernels = Literal["cuda", "cpu"]
_CUDA_BLOCK = 512  # bytes: the smallest piece of CUDA's caching allocator


@dataclass(frozen=True)
class Stage:
    """A run as this process would have opened it; `batch` is of step `step`."""

    session: Session
    stepper: Stepper
    batch: Batch
    step: int
    imagination: Imagination

    def make_state(self) -> None:
        """What an optimizer has after its first step."""
        optimizer = self.session.optimizer
        with self.imagination.ledger.purpose(purposes.OPTIMIZER):
            for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                parameter.grad = torch.empty_like(parameter)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


@contextmanager
def stage(
    config: Config, kernels: Kernels = "cuda", progress: float = 1.0, pairs: Pairs | None = None
) -> Iterator[Stage]:
    """Open a run as one of `distributed.world_size()` processes, and make the batch of a step.

    Args:
        config: the run; with several processes `parallel` says whether weights are cut into pieces.
        kernels: whose attention and whose autocast.
        progress: share of training done at the step.
        pairs: what it trains on; None: as many as one step takes. Pictures are imagined, and captions are of
            full length.

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    ledger = Ledger(_CUDA_BLOCK if kernels == "cuda" else 1)
    imagination = Imagination(ledger)
    model = without_contents(config)
    if distributed.world_size() > 1 and config.parallel == "fsdp":
        shard(model, torch.device("cpu"))
    _take_in(model, imagination)
    with ExitStack() as pretence:
        session = _session(config, model, pairs or Counted(config.global_batch))
        step = min(math.ceil(progress * session.total), session.total - 1)
        batch = _batch(session, step, imagination)
        pretence.enter_context(ledger.following_sizes())
        if kernels == "cuda":
            pretence.enter_context(like_cuda())
        pretence.enter_context(imagination)
        pretence.enter_context(told_apart(model, session.progress(step), ledger))
        with ledger.purpose(purposes.BUCKETS):
            engine = make_engine(model)
        stepper = Stepper(session, engine)
        if isinstance(engine, Replicated):
            engine.entry.register_comm_hook(None, lambda _, bucket: _sent(bucket))
        yield Stage(session, stepper, batch, step, imagination)


def _session(config: Config, model: Pretrainer, pairs: Pairs) -> Session:
    data = config.data
    order = make_order(pairs.counts, pairs.parts, data.upsampling, config.seed, data.window)
    total = total_steps(config, order.steps_per_epoch(config.global_batch))
    out = Path(config.out)
    return Session(
        config if config.precision == "fp32" else replace(config, precision="bf16"),
        out,
        pairs,
        order,
        unlearned(data, config.model.text.context),
        model,
        make_optimizer(model, config.optimizer),
        Quarantine(out / "quarantine.jsonl", data.max_bad, len(pairs)),
        torch.device("cpu"),
        start=0,
        total=total,
        state={},
        sight=Counted(len(pairs)) if data.sight else None,
    )


def _take_in(model: Pretrainer, imagination: Imagination) -> None:
    """Give the model imagined weights, and say what they are for."""
    model._apply(imagination.imagine)
    ledger = imagination.ledger
    ledger.rename(model.parameters(), purposes.WEIGHTS)
    ledger.rename(model.buffers(), purposes.BUFFERS)
    for follower in (module for module in model.modules() if isinstance(module, Follower)):
        ledger.rename([*follower.parameters(), *follower.buffers()], purposes.TEACHERS)
    for parameter in (p for p in model.parameters() if p.requires_grad):
        parameter.register_post_accumulate_grad_hook(lambda p: _take_gradient(p, ledger))


def _take_gradient(parameter: Tensor, ledger: Ledger) -> None:
    if parameter.grad is not None:
        ledger.rename([parameter.grad], purposes.GRADIENTS)


def _sent(bucket: torch.distributed.GradBucket) -> torch.futures.Future[Tensor]:
    """In place of the sum over all processes, which a pretended group never answers."""
    done: torch.futures.Future[Tensor] = torch.futures.Future()
    done.set_result(bucket.buffer())
    return done


def _batch(session: Session, step: int, imagination: Imagination) -> Batch:
    plan = session.model.plan(session.progress(step))
    batch = _from(plan, "pairs", session, step, imagination)
    sight = _from(plan, "sight", session, step, imagination) if plan.views("sight") else None
    return replace(batch, sight=sight)


def _from(plan: EncodingPlan, source: Source, session: Session, step: int, imagination: Imagination) -> Batch:
    steps = session.steps(None)
    epochs, ids = (torch.from_numpy(n[steps.own_rows]) for n in steps.order.batch(step, steps.batch_size))
    shapes = {view: (len(ids), 3, view.size, view.size) for view in plan.views(source)}
    views = {
        view: imagination.imagine(torch.empty(shape, dtype=torch.uint8, device="meta"))
        for view, shape in shapes.items()
    }
    length = session.config.model.text.context
    words = Words(torch.ones(len(ids), length, dtype=torch.long), torch.full((len(ids),), length))
    captions = dict.fromkeys(plan.captions if source == "pairs" else (), words)
    texts = [tensor for words in captions.values() for tensor in (words.ids, words.lengths)]
    imagination.ledger.rename([*views.values(), *texts, ids], purposes.INPUTS)
    return Batch(step, tuple(map(str, ids.tolist())), ids, epochs, views, captions, session.config.seed)
