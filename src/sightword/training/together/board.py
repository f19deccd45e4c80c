"""Where processes tell each other how they stand, outside of collectives: torchrun's key-value store.

torchrun serves a store under MASTER_ADDR:MASTER_PORT, in its own process on the first host where
TORCHELASTIC_USE_AGENT_STORE is True (so it outlives every rank), otherwise in rank 0's. The process group
talks to it over one connection, on which an operation may wait for minutes; this is a second connection, with
a prefix and short time-outs of its own.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from torch.distributed import PrefixStore, TCPStore

_PREFIX = "sightword/watchdog"


class Unreachable(Exception):  # noqa: N818  a state of the network, caught where it is raised for
    """The store did not answer in time."""


class Board:
    """JSON by key, shared by all processes of a run.

    Args:
        host: where the store is served, as MASTER_ADDR says.
        port: as MASTER_PORT says.
        patience: seconds to wait for an answer.
    """

    def __init__(self, host: str, port: int, patience: float) -> None:
        self.address, self._host, self._port = f"{host}:{port}", host, port
        self._patience = patience
        self._store: PrefixStore | None = None

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Write without waiting for an answer.

        Raises:
            Unreachable: the connection has broken.
        """
        self._call("set", key, json.dumps(value))

    def read(self, keys: Sequence[str]) -> dict[str, Any]:
        """What stands under those keys that were written at all.

        Raises:
            Unreachable: no answer in time.
        """
        there = (
            list(keys) if self._call("check", list(keys)) else [k for k in keys if self._call("check", [k])]
        )
        found = self._call("multi_get", there) if there else []
        return {key: json.loads(value) for key, value in zip(there, found, strict=True)}

    def first(self, key: str) -> bool:
        """Whether nobody has asked this of `key` before.

        Raises:
            Unreachable: no answer in time.
        """
        return bool(self._call("add", key, 1) == 1)

    def forget(self, key: str) -> None:
        """Remove what an earlier start of the processes has left.

        Raises:
            Unreachable: no answer in time.
        """
        self._call("delete_key", key)

    def _call(self, operation: str, *arguments: Any) -> Any:
        """In a thread of its own: most of a store's operations, connecting too, know no time-out."""
        answers: SimpleQueue[tuple[PrefixStore, Any] | Exception] = SimpleQueue()
        work = partial(self._work, answers, self._store, operation, arguments)
        threading.Thread(target=work, name=f"board: {operation}", daemon=True).start()
        self._store = None  # after a fault, a late answer would be taken for that of the next question
        try:
            answer = answers.get(timeout=self._patience)
        except Empty:
            raise Unreachable(f"no answer in {self._patience:.0f} s") from None
        if isinstance(answer, Exception):
            raise Unreachable(str(answer).partition("\n")[0]) from answer
        self._store, value = answer
        return value

    def _work(
        self,
        answers: SimpleQueue[tuple[PrefixStore, Any] | Exception],
        store: PrefixStore | None,
        operation: str,
        arguments: tuple[Any, ...],
    ) -> None:
        try:
            store = store or self._connect()
            answers.put((store, getattr(store, operation)(*arguments)))
        except (RuntimeError, ValueError, OSError) as error:  # all that a store raises
            answers.put(error)

    def _connect(self) -> PrefixStore:
        patience = timedelta(seconds=self._patience)
        return PrefixStore(
            _PREFIX,
            TCPStore(self._host, self._port, is_master=False, wait_for_workers=False, timeout=patience),
        )


def torchruns_board(patience: float) -> Board | None:
    """The store that this process was started with; None where it was started without one."""
    host, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
    return Board(host, int(port), patience) if host and port else None
