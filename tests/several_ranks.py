"""Training in several real processes, as torchrun starts them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import processes
import torch

from sightword.config import Config
from sightword.training.loop import resume_training, train
from sightword.training.together.parallel import together


def train_together(configs: Sequence[Config], ranks: int) -> None:
    """Train runs one after the other in `ranks` processes; those that have begun go on."""
    if ranks == 1:
        _train_all(configs)
    else:
        work_together(_train_all, ranks, configs)


def work_together(work: Callable[..., None], ranks: int, *given: object) -> None:
    """`work(*given)` in so many processes that have met; it is found by its name, as pickle does."""
    processes.start(_worker, (ranks, _free_port(), work, given), ranks)


def _worker(rank: int, ranks: int, port: int, work: Callable[..., None], given: Sequence[object]) -> None:
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with together(hang_minutes=10):
        work(*given)


def _train_all(configs: Sequence[Config]) -> None:
    for config in configs:
        out = Path(config.out)
        if (out / "config.toml").exists():
            resume_training(out)
        else:
            train(config)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
