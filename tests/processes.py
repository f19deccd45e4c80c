"""Processes that begin with everything imported: forks of one server, instead of seconds of imports each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch.multiprocessing as mp

# The first optimizer that a process makes imports `torch._dynamo`, which takes a second.
PRELOADED = ["torch._dynamo", "sightword.training.loop", "sightword.training.together.parallel"]


def start(worker: Callable[..., None], args: tuple[Any, ...], ranks: int, join: bool = True) -> Any:
    """`worker(rank, *args)` in so many processes, as `torch.multiprocessing.spawn` starts them.

    Nothing that a test has made or changed is in them but the environment: the server that they are forked
    from has imported modules and done nothing else.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    here = (dict(os.environ), worker, *args)
    return mp.start_processes(_begin, here, nprocs=ranks, join=join, start_method="forkserver")


def _begin(rank: int, environment: Mapping[str, str], worker: Callable[..., None], *args: object) -> None:
    os.environ.clear()
    os.environ.update(environment)
    worker(rank, *args)
