"""Steps of the real program, rehearsed without computing them: what a process holds in memory, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from sightword import distributed
from sightword.config import Config
from sightword.planning import ledger as purposes
from sightword.planning.imagining import Imagination
from sightword.planning.ledger import Bytes, Ledger
from sightword.planning.like_cuda import like_cuda
from sightword.planning.naming import told_apart
from sightword.planning.sizes import without_contents
from sightword.towers.momentum import Follower
from sightword.training.caching import forward_backward
from sightword.training.engine import Engine, Replicated, make_engine
from sightword.training.gradients import TermGradients
from sightword.training.optimizer import gradient_norm, make_optimizer
from sightword.training.parallel import shard, sharded
from sightword.training.plan import EncodingPlan
from sightword.training.pretrainer import Pretrainer
from sightword.words import Batch, Source, Words

Kernels = Literal["cuda", "cpu"]
_CUDA_BLOCK = 512  # bytes: the smallest piece of CUDA's caching allocator


@dataclass(frozen=True)
class Rehearsed:
    """What one process needs, bytes, and computes.

    peak: the most that ever lives in a step of a run that is under way.
    at_peak: the same by purpose.
    state: what lives between steps, by purpose.
    flops: of a step of this process, recomputation and pairwise products included.
    """

    peak: int
    at_peak: Bytes
    state: Bytes
    flops: int


def rehearse(
    config: Config, rows: int, kernels: Kernels = "cuda", progress: float = 1.0, metered: bool = True
) -> Rehearsed:
    """Take a step as this process would, of as many as `distributed.world_size()` says.

    Args:
        config: the run; with several processes `parallel` says whether weights are cut into pieces.
        rows: samples in a step of this process; captions are of full length.
        kernels: whose attention and whose autocast.
        progress: share of training done: which objectives count.
        metered: as in steps that record each term's own gradient: they take the most memory.

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    with _stage(config, rows, kernels, progress) as stage:
        ledger = stage.imagination.ledger
        stage.make_state()
        ledger.restart()
        stage.step(metered)
        return Rehearsed(ledger.peak, ledger.at_peak, ledger.now(), stage.imagination.flops)


@dataclass(frozen=True)
class _Stage:
    """Everything of a run that a step needs."""

    config: Config
    imagination: Imagination
    engine: Engine
    optimizer: torch.optim.Optimizer
    batch: Batch
    progress: float

    def make_state(self) -> None:
        """What an optimizer has after its first step."""
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        with self.imagination.ledger.purpose(purposes.OPTIMIZER):
            for parameter in trained:
                parameter.grad = torch.empty_like(parameter)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def step(self, metered: bool) -> None:
        """As the loop takes it (see `training.stepping`)."""
        config, model, ledger = self.config, self.engine.model, self.imagination.ledger
        rows = len(self.batch.keys)
        chunks = math.ceil(rows / config.chunk) if config.chunk else config.accum_freq
        autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.precision != "fp32")
        asked = metered and not sharded(model)
        meter = _Meter(model.encoders.towers["image"], self.imagination) if asked else None
        with ledger.purpose(purposes.BACKWARD):
            forward_backward(self.engine, self.batch, self.progress, chunks, autocast, meter)
            del meter
            gradient_norm(model, config.optimizer.grad_clip)
        with ledger.purpose(purposes.OPTIMIZER):
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            model.after_step(self.progress)


class _Meter(TermGradients):
    """Its passes take memory, and are no part of a usual step's arithmetic."""

    def __init__(self, shared: nn.Module, imagination: Imagination) -> None:
        super().__init__(shared)
        self._imagination = imagination

    def add(self, name: str, outputs: Sequence[Tensor], gradients: Sequence[Tensor] | None = None) -> None:
        self._imagination.counts = False
        super().add(name, outputs, gradients)
        self._imagination.counts = True


@contextmanager
def _stage(config: Config, rows: int, kernels: Kernels, progress: float) -> Iterator[_Stage]:
    ledger = Ledger(_CUDA_BLOCK if kernels == "cuda" else 1)
    imagination = Imagination(ledger)
    model = without_contents(config)
    if distributed.world_size() > 1 and config.parallel == "fsdp":
        shard(model, torch.device("cpu"))
    _take_in(model, imagination)
    batch = imagined_batch(model, config, rows, progress, imagination)
    with ExitStack() as pretence:
        pretence.enter_context(ledger.following_sizes())
        if kernels == "cuda":
            pretence.enter_context(like_cuda())
        pretence.enter_context(imagination)
        pretence.enter_context(told_apart(model, progress, ledger))
        with ledger.purpose(purposes.BUCKETS):
            engine = make_engine(model)
        if isinstance(engine, Replicated):
            engine.entry.register_comm_hook(None, lambda _, bucket: _sent(bucket))
        optimizer = make_optimizer(model, config.optimizer)
        yield _Stage(config, imagination, engine, optimizer, batch, progress)


def _take_in(model: Pretrainer, imagination: Imagination) -> None:
    """Give the model imagined weights, and say what they are for."""
    model._apply(imagination.imagine)
    ledger = imagination.ledger
    ledger.rename(model.parameters(), purposes.WEIGHTS)
    ledger.rename(model.buffers(), purposes.BUFFERS)
    for follower in (module for module in model.modules() if isinstance(module, Follower)):
        ledger.rename([*follower.parameters(), *follower.buffers()], purposes.TEACHERS)
    for parameter in (p for p in model.parameters() if p.requires_grad):
        parameter.register_post_accumulate_grad_hook(
            lambda p: ledger.rename(_gradient(p), purposes.GRADIENTS)
        )


def _gradient(parameter: Tensor) -> list[Tensor]:
    return [] if parameter.grad is None else [parameter.grad]


def _sent(bucket: torch.distributed.GradBucket) -> torch.futures.Future[Tensor]:
    """In place of the sum over all processes, which a pretended group never answers."""
    done: torch.futures.Future[Tensor] = torch.futures.Future()
    done.set_result(bucket.buffer())
    return done


def imagined_batch(
    model: Pretrainer, config: Config, rows: int, progress: float, imagination: Imagination
) -> Batch:
    """A batch of one process: pictures without contents, and captions as long as they can be."""
    plan = model.plan(progress)
    batch = _from(plan, "pairs", config, rows, imagination)
    sight = _from(plan, "sight", config, rows, imagination) if plan.views("sight") else None
    return replace(batch, sight=sight)


def _from(plan: EncodingPlan, source: Source, config: Config, rows: int, imagination: Imagination) -> Batch:
    shapes = {view: (rows, 3, view.size, view.size) for view in plan.views(source)}
    views = {
        view: imagination.imagine(torch.empty(shape, dtype=torch.uint8, device="meta"))
        for view, shape in shapes.items()
    }
    context = config.model.text.context
    words = Words(torch.ones(rows, context, dtype=torch.long), torch.full((rows,), context))
    captions = dict.fromkeys(plan.captions if source == "pairs" else (), words)
    ids = torch.arange(rows)
    texts = [tensor for words in captions.values() for tensor in (words.ids, words.lengths)]
    imagination.ledger.rename([*views.values(), *texts, ids], purposes.INPUTS)
    return Batch(0, tuple(map(str, range(rows))), ids, 0, views, captions)
