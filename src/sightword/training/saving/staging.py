"""Copies on the CPU of what a checkpoint holds: they are written while training changes the rest.

Names are `model/NAME` for everything in the model's state dict, and `optimizer/PART/NAME` for what the
optimizer keeps of the parameter of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint import DefaultSavePlanner
from torch.distributed.checkpoint.planner import WriteItem
from torch.distributed.tensor import DTensor

from sightword.distributed import rank, world_size
from sightword.pieces.reading import MODEL
from sightword.training.optimizer import named_trainable
from sightword.training.together.parallel import own_part

OPTIMIZER = "optimizer/"


@dataclass(frozen=True)
class Staged:
    """What this process writes of a checkpoint.

    `live` says how the tensors lie among processes, `copies` are their values here, `names` those of all
    processes' tensors.
    """

    live: Mapping[str, Tensor]
    copies: Mapping[str, Tensor]
    names: frozenset[str]


class Staging:
    """Takes copies, into the same memory every time: fresh memory costs several times the copying."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def take(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Staged:
        """The tensors as they are now; the copies of the time before are overwritten."""
        everything = named_tensors(model, optimizer)
        first = {MODEL + name for name, _ in model.named_buffers()}
        live = _own_share(everything, first)
        self._held = {name: self._room(name, own_part(tensor)) for name, tensor in live.items()}
        for name, tensor in live.items():
            self._held[name].copy_(own_part(tensor), non_blocking=True)
        if any(tensor.is_cuda for tensor in live.values()):
            torch.cuda.synchronize()
        return Staged(live, self._held, frozenset(everything))

    def _room(self, name: str, tensor: Tensor) -> Tensor:
        held = self._held.get(name)
        if held is not None and held.shape == tensor.shape and held.dtype == tensor.dtype:
            return held
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)


class Planner(DefaultSavePlanner):
    """Plans by the tensors of training, writes their copies."""

    def __init__(self, staged: Staged) -> None:
        super().__init__(flatten_state_dict=False)
        self._copies = staged.copies

    def resolve_data(self, write_item: WriteItem) -> Tensor:
        """The copy."""
        return self._copies[write_item.index.fqn]


def named_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Everything that a checkpoint holds, by its name there; it shares the memory of what trains."""
    tensors = {MODEL + name: tensor for name, tensor in model.state_dict().items()}
    for name, parameter in named_trainable(model).items():
        for part, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{OPTIMIZER}{part}/{name}"] = value
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _own_share(tensors: Mapping[str, Tensor], first: set[str]) -> dict[str, Tensor]:
    """Of tensors that every process holds whole, those that this one writes; of the others its pieces.

    The largest goes to whoever has least; what is `first`'s, such as statistics of batch norms, is taken as
    the first process has it. Shared before anything is copied, so that a process copies no more than that.
    """
    load = [0] * world_size()
    owner = {}
    for name in sorted(tensors, key=lambda name: (-tensors[name].nbytes, name)):
        if not isinstance(tensors[name], DTensor):
            owner[name] = 0 if name in first else load.index(min(load))
            load[owner[name]] += tensors[name].nbytes
    return {name: tensor for name, tensor in tensors.items() if owner.get(name, rank()) == rank()}
