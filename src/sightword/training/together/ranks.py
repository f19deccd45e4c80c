"""What the processes of a run tell each other beside tensors: answers, errors and signals, so that none waits
for another that has stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist

from sightword.distributed import rank, world_size
from sightword.errors import SharedError, SightwordError

T = TypeVar("T")


def leads() -> bool:
    """Whether this process is the one that writes and speaks; also before the group is there and after it."""
    return rank() == 0 and os.environ.get("RANK", "0") == "0"


def on_this_host() -> int:
    """How many processes share this machine."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def patience() -> float:
    """Seconds to wait for a run's directory: under torchrun, processes of the start before may linger."""
    return 60.0 if "TORCHELASTIC_RUN_ID" in os.environ else 0.0


def gathered(value: T) -> list[T]:
    """Everybody's value, in rank order; anything that can be pickled."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return cast("list[T]", values)


def first(work: Callable[[], T]) -> T:
    """Let the first process do something; all get its answer, or raise its error.

    Raises:
        SharedError: the first process met a `SightwordError`.
    """
    if world_size() == 1:
        return work()
    done: list[Any] = [None, None]
    if rank() == 0:
        try:
            done[0] = work()
        except SightwordError as error:
            done[1] = str(error)
    dist.broadcast_object_list(done)
    if done[1] is not None:
        raise SharedError(done[1])
    return cast("T", done[0])


def all_well(work: Callable[[], T]) -> T:
    """Do something in every process; where one meets an error, all raise it.

    Raises:
        SharedError: in one process or more there was a `SightwordError`.
    """
    if world_size() == 1:
        return work()
    answer, fault = None, ""
    try:
        answer = work()
    except SightwordError as error:
        fault = str(error)
    _raise_any(fault)
    return cast("T", answer)


def hosts_first(work: Callable[[], T]) -> T:
    """Do something in every process, on each host in one process before the others: it fills the caches.

    Raises:
        SharedError: in one process or more there was a `SightwordError`.
    """
    if world_size() == 1:
        return work()
    if not _leads_host():
        _raise_any(None)
        return all_well(work)
    answer = all_well(work)
    _raise_any("")
    return answer


@dataclass(frozen=True)
class News:
    """What a process has to say before a step is taken.

    asked: the name of the signal that asked to stop, or "".
    due: whether it is time for a checkpoint.
    bad: (key, reason) of the samples that were unreadable.
    error: what keeps this process from going on, or None.
    """

    asked: str = ""
    due: bool = False
    bad: tuple[tuple[str, str], ...] = ()
    error: SightwordError | None = None


def shared(news: News) -> News:
    """Everybody's news as one, so that all processes do the same next; one small exchange a step.

    Raises:
        SightwordError: one of them cannot go on.
    """
    if world_size() > 1:
        told = torch.tensor([bool(news.asked), news.due, bool(news.bad), news.error is not None]).int()
        dist.all_reduce(told, dist.ReduceOp.MAX)
        asked, due, bad, error = (bool(one) for one in told)
        if error:
            _raise_any("" if news.error is None else str(news.error))
        news = News(
            next(name for name in gathered(news.asked) if name) if asked else "",
            due,
            tuple(chain.from_iterable(gathered(news.bad))) if bad else (),
        )
    elif news.error is not None:
        raise news.error
    return news


def _raise_any(fault: str | None) -> None:
    """Every process's own fault; "" where it met none, and None where it has not tried."""
    faults = gathered(fault)
    if any(faults):
        raise SharedError(_named(faults))


def _named(faults: Sequence[str | None]) -> str:
    """One line of several processes' errors: who met it is told unless all did."""
    met = [number for number, fault in enumerate(faults) if fault]
    told = str(faults[met[0]])
    same = {fault for fault in faults if fault is not None} == {told}
    return told if same else f"process {met[0]} of {len(faults)}: {told}"


def _leads_host() -> bool:
    return os.environ.get("LOCAL_RANK", str(rank())) == "0"
