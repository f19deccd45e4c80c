"""One file from elsewhere onto the disk: continued where it broke, and never cut short."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from sightword.pairs.remote.file import Remote
from sightword.pairs.remote.patience import Patience, Transient, persist
from sightword.pairs.remote.stores import store_of

_LEAST = 1024  # bytes a second, below which a server counts as standing still
_LOOKS = 2  # timeouts between looks at that


def receive(
    remote: Remote,
    part: Path,
    patience: Patience,
    failures: Counter[str],
    count: Callable[[int], object],
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """All bytes of a file, added to what `part` holds of it, and synced to the disk.

    Args:
        remote: what is to come.
        part: what has arrived; is taken up again only when the file has a tag, by which it is the same.
        patience: with the network.
        failures: each one is added, by kind.
        count: told of bytes as they arrive.
        sleep: how to pause before another try.

    Raises:
        Changed: the file is another one by now.
        SightwordError: it cannot be read, now or ever.
        OSError: the disk is full or fails.
    """
    store = store_of(remote.address, patience.timeout)
    # Unbuffered: a process that is forked meanwhile has nothing that it could write a second time.
    with part.open("ab", buffering=0) as file:
        if not remote.tagged or _size(file) > remote.size:
            file.truncate(0)

        def go_on() -> None:
            for piece in _moving(store.read(remote, _size(file)), patience.timeout):
                _write(file, piece)
                count(len(piece))
            if _size(file) > remote.size:
                file.truncate(0)
                raise Transient("longer than announced")
            if _size(file) < remote.size:
                raise Transient("cut short")

        persist(go_on, remote.address, patience, failures, lambda: _size(file), sleep)
        os.fsync(file.fileno())


def _moving(pieces: Iterator[bytes], timeout: float) -> Iterator[bytes]:
    """The pieces, as long as they do not come drop by drop."""
    arrived, since = 0, time.monotonic()
    for piece in pieces:
        yield piece
        arrived += len(piece)
        seconds = time.monotonic() - since
        if seconds > _LOOKS * timeout:
            if arrived < _LEAST * seconds:
                raise Transient("stands still")
            arrived, since = 0, time.monotonic()


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _write(file: BinaryIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
