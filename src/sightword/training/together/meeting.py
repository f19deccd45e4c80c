"""How the processes of one start find each other, when torchrun has started them before.

torchrun keeps one key-value store for all its restarts, so a process group that is made from the environment
reads what dead processes left there: gloo's addresses and NCCL's ids of the start before, and fails by chance
("connectFullMesh failed", pytorch issues 135712 and 167288). The count of restarts is no remedy: each host
counts its own. So the first process draws a name for this start and tells it to those that greet it, each
with a greeting drawn anew; what earlier starts left under other names is never read.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from torch.distributed import PrefixStore, Store, TCPStore

from sightword.errors import SightwordError

T = TypeVar("T")
_PREFIX = "sightword/meeting"
_LOOK = 0.05  # seconds between two looks at who has come
_SHOWN = 8  # missing ranks in a message


def meet(timeout: timedelta) -> Store:
    """A store that only the processes of this start share: for `init_process_group(store=...)`.

    Reads RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT and TORCHELASTIC_USE_AGENT_STORE, as torchrun sets them.

    Raises:
        SightwordError: some did not come in time, or the store cannot be reached.
    """
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return agree(_open(rank, timeout), rank, world, timeout)


def agree(store: Store, rank: int, world: int, timeout: timedelta) -> Store:
    """The part of a store whose name all ranks of this start have agreed on.

    Raises:
        SightwordError: some did not come in time.
    """
    talk = PrefixStore(_PREFIX, store)
    name = _receive(talk, world, timeout) if rank == 0 else _greet(talk, rank, timeout)
    return PrefixStore(f"{_PREFIX}/{name}", store)


def _open(rank: int, timeout: timedelta) -> TCPStore:
    """The store: torchrun's own, or one that the first process serves."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    serves = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    fault = f"rank {rank} cannot reach {host}:{port}, where torchrun's first host answers"
    return _or_say(
        lambda: TCPStore(
            host, port, is_master=serves, timeout=timeout, wait_for_workers=False, multi_tenant=True
        ),
        f"{fault}; see that it runs and that the network lets hosts reach each other",
    )


def _receive(talk: Store, world: int, timeout: timedelta) -> str:
    """Tell this start's name to everybody who greets, until all have heard it."""
    name, answered = uuid.uuid4().hex, dict[int, bytes]()
    missing, until = set(range(1, world)), time.monotonic() + timeout.total_seconds()
    while missing:
        for rank in sorted(missing):
            if talk.check([f"hello/{rank}"]) and (greeting := talk.get(f"hello/{rank}")) != answered.get(
                rank
            ):
                talk.set(f"answer/{greeting.decode()}", name)
                answered[rank] = greeting
        missing = {r for r in missing if not talk.check([f"came/{name}/{r}"])}
        if missing and time.monotonic() > until:
            raise SightwordError(
                f"{len(missing)} of {world} processes did not come within {timeout}: {_ranks(missing)};"
                " their own messages tell why"
            )
        time.sleep(_LOOK if missing else 0.0)
    return name


def _greet(talk: Store, rank: int, timeout: timedelta) -> str:
    greeting = uuid.uuid4().hex
    talk.set(f"hello/{rank}", greeting)
    answer = f"answer/{greeting}"
    fault = f"rank {rank} got no answer of rank 0 within {timeout}; its own message tells why"
    name = _or_say(lambda: talk.get(answer), fault).decode()
    talk.set(f"came/{name}/{rank}", "")
    return name


def _or_say(work: Callable[[], T], fault: str) -> T:
    try:
        return work()
    except (RuntimeError, ValueError, OSError) as error:  # all that a store raises
        raise SightwordError(f"{fault} ({str(error).partition(chr(10))[0]})") from error


def _ranks(ranks: Iterable[int]) -> str:
    shown = sorted(ranks)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"rank {', '.join(map(str, shown[:_SHOWN]))}{more}"
