"""How a training step calls the model: as it is, as copies in several processes, or as pieces in each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from sightword.distributed import world_size
from sightword.training.pretrainer import Answer, Pretrainer
from sightword.training.together.parallel import sharded
from sightword.words import Batch, Encode, Encoded

# Both are meant: buffers need no broadcast, and late objectives leave parameters out.
warnings.filterwarnings("ignore", "(?s).*broadcast_buffers", FutureWarning)
warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")  # none is written into


class Engine:
    """How a training step calls the model: in one process, as it is."""

    def __init__(self, model: Pretrainer) -> None:
        self.model = model

    def forward(self, batch: Batch, progress: float) -> Answer:
        """Encode and score a batch; the backward pass of its loss sends gradients to everybody."""
        answer: Answer = self.model(batch, progress)
        return answer

    def score_last(self, encoded: Mapping[Encode, Encoded], batch: Batch, progress: float) -> Answer:
        """Score a batch of which nothing is to be encoded again: the backward pass is the step's last."""
        return self.model.score(encoded, batch, progress)

    def encode_last(self, batch: Batch, progress: float) -> dict[Encode, Encoded]:
        """Encode a chunk whose backward pass is the step's last: it sends what was held back as well."""
        return self.model.encode(batch, progress, still=False)

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """Backward passes whose gradients wait for the last one."""
        yield


class Replicated(Engine):
    """A copy of the model in each process, and gradients averaged by DistributedDataParallel.

    Args:
        model: what trains.
        partial: whether a backward pass may leave parameters out, which torch then looks for each time.
    """

    def __init__(self, model: Pretrainer, partial: bool = True) -> None:
        super().__init__(model)
        # Buffers need no broadcast: batch norms synchronise.
        self.entry = DistributedDataParallel(
            _Entry(model), broadcast_buffers=False, find_unused_parameters=partial
        )

    def forward(self, batch: Batch, progress: float) -> Answer:
        answer: Answer = self.entry(self.model.forward, batch, progress)
        return answer

    def score_last(self, encoded: Mapping[Encode, Encoded], batch: Batch, progress: float) -> Answer:
        answer: Answer = self.entry(self.model.score, encoded, batch, progress)
        return answer

    def encode_last(self, batch: Batch, progress: float) -> dict[Encode, Encoded]:
        encodings: dict[Encode, Encoded] = self.entry(self.model.encode, batch, progress, still=False)
        return encodings

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        with self.entry.no_sync():
            yield


class Sharded(Engine):
    """A piece of the model in each process (FSDP2)."""

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        model = self.model
        assert isinstance(model, FSDPModule)
        model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            model.set_requires_gradient_sync(True)


class _Entry(nn.Module):
    """The one module whose forward everything goes through, as DistributedDataParallel wants it."""

    def __init__(self, model: Pretrainer) -> None:
        super().__init__()
        self.model = model

    def forward(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Call one of the model's methods."""
        return call(*args, **kwargs)


def make_engine(model: Pretrainer, partial: Callable[[], bool] = lambda: True) -> Engine:
    """The way to call this model in this run; `partial` is asked where it matters, see `Replicated`."""
    if sharded(model):
        return Sharded(model)
    return Replicated(model, partial()) if world_size() > 1 else Engine(model)
