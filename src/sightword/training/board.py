"""Where processes tell each other how they stand, outside of collectives: torchrun's key-value store.

torchrun serves a store under MASTER_ADDR:MASTER_PORT, in its own process on the first host where
TORCHELASTIC_USE_AGENT_STORE is True (so it outlives every rank), otherwise in rank 0's. The process group
talks to it over one connection, on which an operation may wait for minutes; this is a second connection, with
a prefix and short time-outs of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from torch.distributed import PrefixStore, TCPStore

_PREFIX = "sightword/watchdog"
_FAULTS = (RuntimeError, ValueError, OSError)  # all that a store raises


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
        self._patience = timedelta(seconds=patience)
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
        try:
            return getattr(self._connected(), operation)(*arguments)
        except _FAULTS as error:
            self._store = None  # a late answer would be taken for that of the next question: connect anew
            raise Unreachable(str(error).partition("\n")[0]) from error

    def _connected(self) -> PrefixStore:
        if self._store is None:
            client = TCPStore(
                self._host, self._port, is_master=False, wait_for_workers=False, timeout=self._patience
            )
            self._store = PrefixStore(_PREFIX, client)
        return self._store


def torchruns_board(patience: float) -> Board | None:
    """The store that this process was started with; None where it was started without one."""
    host, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
    return Board(host, int(port), patience) if host and port else None
