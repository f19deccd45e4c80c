"""Whether the numbers of a configuration fit each other, before anything is opened."""

from __future__ import annotations

import math

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.training.saving import best


def check(config: Config, ranks: int) -> None:
    """See that the numbers of a run fit each other.

    Args:
        config: the whole run.
        ranks: processes that will share its steps.

    Raises:
        SightwordError: naming the first that does not.
    """
    _check_batch(config, ranks)
    best.check(config)
    if config.data.workers < -1:
        raise SightwordError(f"--workers is {config.data.workers}; give a number, 0 for none, or auto")
    if not 0 <= config.data.max_bad <= 1:
        raise SightwordError(f"--max-bad is a share from 0 to 1, found {config.data.max_bad:g}")
    if config.chunk and config.accum_freq != 1:
        raise SightwordError("both --chunk and --accum-freq are given; they say the same: give one of them")
    if not 0 <= config.chunk <= config.batch_size:
        raise SightwordError(
            f"--chunk is {config.chunk}; of a batch of {config.batch_size}, 1 to {config.batch_size} samples"
            " can be encoded at once"
        )
    if not 1 <= config.accum_freq <= config.batch_size:
        raise SightwordError(
            f"--accum-freq is {config.accum_freq}; a batch of {config.batch_size} can be cut into"
            f" 1 to {config.batch_size} chunks"
        )


def _check_batch(config: Config, ranks: int) -> None:
    if config.global_batch < 2 or config.batch_size < 1:
        raise SightwordError(
            f"--batch-size is {config.batch_size}; every objective compares samples: give 2 or more"
        )
    if config.ranks < 0:
        raise SightwordError(
            f"ranks is {config.ranks}; give the number of processes, or 0 for those there are"
        )
    if config.global_batch % ranks:
        fits = [n for n in range(1, ranks + 1) if config.global_batch % n == 0]
        raise SightwordError(
            f"a step has {config.global_batch} samples, which {ranks} processes cannot share evenly;"
            f" start {fits[-1]} of them, or any other number that divides it"
        )


def total_steps(config: Config, per_epoch: int) -> int:
    """How many steps a run has.

    Args:
        config: says it in steps or in epochs.
        per_epoch: steps of an epoch.

    Raises:
        SightwordError: it says neither, both, or nothing above zero.
    """
    if config.steps and config.epochs:
        raise SightwordError("both --steps and --epochs are given; give one of them")
    total = config.steps or math.ceil(round(config.epochs * per_epoch, 6))  # 0.1 x 30 is 3, not 4
    if total < 0:
        raise SightwordError(f"the length of training is {total} steps; give --steps or --epochs above zero")
    if total == 0:
        raise SightwordError("the length of training is missing; give --steps N or --epochs N")
    return total
