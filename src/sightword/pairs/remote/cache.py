"""Copies of remote shards on a local disk: whole or not there, bounded, shared by all processes.

    shards/KEY.tar          a whole copy; its time of change says when somebody last opened it
    shards/KEY.SIZE.part    what has arrived of one so far
    shards/locks/GROUP      held by whoever fetches or removes a shard of this group
    shards/transfers.jsonl  a line for each transfer

A copy that somebody reads may be removed: its bytes stay until the last reader closes it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.pairs.files import cache_dir
from sightword.pairs.remote.at_once import Stop
from sightword.pairs.remote.file import Changed, Remote
from sightword.pairs.remote.locks import locked
from sightword.pairs.remote.patience import Patience
from sightword.pairs.remote.receiving import receive
from sightword.pairs.remote.room import make_room, size_of
from sightword.pairs.remote.transfers import NAME, Journal
from sightword.pairs.tars.tar import Tar

GIB = 1 << 30
Moved = Callable[[int], object]  # told of bytes as they arrive


def nobody(_: int) -> None:
    """For those who do not want to know how far a transfer is."""


@final
class ShardCache:
    """Remote shards, fetched when first needed. May be pickled; processes share the folder, not the object.

    Args:
        gib: disk that copies may take together, of all runs that use the folder. Those that nobody has opened
            for the longest time are removed for new ones.
        patience: with the network.
    """

    def __init__(self, gib: float, patience: Patience) -> None:
        self.folder = cache_dir() / "shards"
        self.bound = int(gib * GIB)
        self.patience = patience
        self.journal = Journal(self.folder / NAME, secrets.token_hex(8))

    def open(self, remote: Remote) -> Tar:
        """A shard, from its copy if there is one, else fetched now.

        Raises:
            SightwordError: it cannot be fetched, has changed, or the disk is full.
        """
        tar = self._opened(remote)
        if tar is not None:
            return tar
        with self._alone(remote):
            tar = self._opened(remote)
            if tar is None:
                self._fetch(remote)
                tar = self._opened(remote)
        assert tar is not None, "a shard is not removed while its lock is held"
        return tar

    def fetch(self, remote: Remote, moved: Moved = nobody, stop: Stop | None = None) -> None:
        """Have a copy of a shard; errors as `open`, and `Stopped` when that is asked for."""
        if not self.holds(remote):
            with self._alone(remote, stop):
                if not self.holds(remote):
                    self._fetch(remote, moved, stop)

    def holds(self, remote: Remote) -> bool:
        """Whether there is a whole copy now."""
        with contextlib.suppress(OSError):
            return self._whole(remote).stat().st_size == remote.size
        return False

    def wanted(self, remotes: Sequence[Remote]) -> None:
        """These will be needed, in this order: copies of them are the last to be removed."""
        for remote in reversed(remotes):
            with contextlib.suppress(OSError):
                os.utime(self._whole(remote))

    def _opened(self, remote: Remote) -> Tar | None:
        path = self._whole(remote)
        try:
            tar = Tar(path, remote.address)
        except SightwordError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        if tar.stat.st_size != remote.size:  # somebody wrote into the cache
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # removed since, or another user's
            os.utime(path)
        return tar

    def _fetch(self, remote: Remote, moved: Moved = nobody, stop: Stop | None = None) -> None:
        """Needs the shard's lock."""
        stop = stop or Stop()
        part, failures, begun = self._part(remote), Counter[str](), time.monotonic()
        arrived = 0

        def count(size: int) -> None:
            nonlocal arrived
            arrived += size
            moved(size)
            stop.check()

        whole = False
        try:
            part.touch()  # from now on others count it, with all that it will be
            make_room(part, remote.size, self.bound, self._lock_of)
            receive(remote, part, self.patience, failures, count, stop.sleep)
            os.replace(part, self._whole(remote))
            whole = True
            make_room(self._whole(remote), remote.size, self.bound, self._lock_of)  # others came meanwhile
        except Changed:
            part.unlink(missing_ok=True)
            raise
        except OSError as error:
            part.unlink(missing_ok=True)  # a full disk is a worse neighbour than a transfer begun anew
            raise _unwritable(self.folder, error) from error
        finally:
            self.journal.note(remote.address, whole, arrived, time.monotonic() - begun, failures)

    @contextmanager
    def _alone(self, remote: Remote, stop: Stop | None = None) -> Iterator[None]:
        """While the context lasts, nobody else fetches or removes this shard."""
        part = self._part(remote)

        def progress() -> int:
            if stop is not None:
                stop.check()
            return size_of(part)

        try:
            with locked(self._lock_of(remote.key), self.patience.longest_silence, progress):
                yield
        except TimeoutError as error:
            raise SightwordError(
                f"'{remote.address}' is being fetched by another process, which stands still; end that one"
            ) from error
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _lock_of(self, key: str) -> Path:
        return self.folder / "locks" / key[:3]

    def _whole(self, remote: Remote) -> Path:
        return self.folder / f"{remote.key}.tar"

    def _part(self, remote: Remote) -> Path:
        return self.folder / f"{remote.key}.{remote.size}.part"


def _unwritable(folder: Path, error: OSError) -> SightwordError:
    return SightwordError(
        f"cannot write '{folder}' ({error.strerror or error}); set SIGHTWORD_CACHE to a folder with free "
        "space, or data.shard_cache_gib lower"
    )
