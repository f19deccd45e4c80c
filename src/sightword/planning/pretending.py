"""One process that takes itself for one of many: torch's pretended process group, which sends nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from sightword.errors import SightwordError


@contextmanager
def one_of(ranks: int, rank: int = 0) -> Iterator[None]:
    """While it lasts, this process is number `rank` of `ranks`; collectives have shapes and no contents.

    Raises:
        SightwordError: this process is already one of several.
    """
    if ranks == 1:
        yield
        return
    if dist.is_initialized():
        raise SightwordError("a plan is made in one process; call it without torchrun")
    from torch.testing._internal.distributed.fake_pg import FakeStore  # registers the backend `fake`

    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch to itself, about collectives
            yield
    finally:
        dist.destroy_process_group()
