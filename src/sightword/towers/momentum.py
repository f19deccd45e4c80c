"""A module that follows another one slowly: momentum encoders, teachers, averages of weights."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from sightword.words import Teacher


def momentum_at(teacher: Teacher, progress: float) -> float:
    """The momentum after a share of training: `momentum` at 0 rising to `end` at 1 by a half cosine.

    Source: BYOL (arXiv 2006.07733, section 3.3), and MoCo v3's released code.
    """
    return teacher.end - (teacher.end - teacher.momentum) * (math.cos(math.pi * progress) + 1) / 2


class Follower(nn.Module):
    """A `copy` of `leader` without gradient: copy <- m * copy + (1 - m) * leader.

    The leader is not a submodule: its parameters belong to whoever owns it, and appear once in a state dict.

    Floating-point buffers (batch norm's running statistics) are averaged with the same momentum, because the
    statistics that fit averaged weights are averaged ones; when the copy runs in training mode it also
    updates them from its own batches, as MoCo v3's does. Integer buffers (counters) are copied.
    """

    leader: nn.Module

    def __init__(self, leader: nn.Module, teacher: Teacher) -> None:
        super().__init__()
        object.__setattr__(self, "leader", leader)  # past nn.Module's own, which would register it
        self.schedule = teacher
        self.start = 0.0  # share of training after which it is needed; training sets it
        self.copy = deepcopy(leader).requires_grad_(False)

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The copy's answer, without gradient."""
        return self.copy(*args, **kwargs)

    @torch.no_grad()
    def update(self, progress: float, before: float | None = None) -> None:
        """Follow one step; a follower that is needed late starts then, as the leader is at that moment.

        Args:
            progress: the share of training done, 0 to 1.
            before: the share that was done a step earlier; None when the follower started long ago.
        """
        if progress < self.start:
            return
        begins = before is not None and before < self.start
        weight = 1 - (0.0 if begins else momentum_at(self.schedule, self._share(progress)))
        pairs = [*zip(_here(self.copy), _here(self.leader), strict=True)]
        buffers = [*zip(self.copy.buffers(), self.leader.buffers(), strict=True)]
        _average([*pairs, *(p for p in buffers if p[0].is_floating_point())], weight)
        for mine, theirs in (p for p in buffers if not p[0].is_floating_point()):
            mine.copy_(theirs)

    def _share(self, progress: float) -> float:
        """Of the training in which it is needed."""
        return (progress - self.start) / (1 - self.start)


def _here(module: nn.Module) -> list[Tensor]:
    """The parameters; of those that are cut into pieces for several processes, the piece that lies here.

    A copy is cut as its leader, so that each process averages its own pieces.
    """
    return [p.to_local() if isinstance(p, DTensor) else p for p in module.parameters()]


def _average(pairs: list[tuple[Tensor, Tensor]], weight: float) -> None:
    if pairs:
        mine, theirs = zip(*pairs, strict=True)
        torch._foreach_lerp_(list(mine), list(theirs), weight)
