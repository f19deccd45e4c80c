"""From addresses with stars to the remote tars that they mean, with size and tag of each."""

from __future__ import annotations

import glob
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar, final

from sightword.errors import SightwordError
from sightword.pairs.remote.at_once import Stop, at_once
from sightword.pairs.remote.bar import Bar
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import INDEXED, NotThere, Remote, Store
from sightword.pairs.remote.patience import persist
from sightword.pairs.remote.stores import is_web, store_of
from sightword.pairs.tars.shelves import RemoteShelf

T = TypeVar("T")
LOOKED_AT = 2_000  # shards on web servers that are looked at one by one where an index lists them all
_THREADS = 16
_FEW = 8  # names in one folder that are asked for one by one rather than by listing it
_PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst")


def remote_tars(names: Sequence[str], pattern: str, cache: ShardCache) -> list[Remote]:
    """The tars that addresses name, in this order, those of a star sorted by name.

    Args:
        names: addresses without braces: of a tar, with stars, or of a folder, ending in `/`.
        pattern: what the user wrote, for messages.
        cache: says how patient to be, and notes failures.

    Raises:
        SightwordError: some are missing or compressed, nothing matches, or a store cannot be read.
    """
    packed = next((name for name in names if name.endswith(_PACKED)), None)
    if packed is not None:
        raise SightwordError(
            f"'{packed}' is compressed, and pairs are read by random access, which needs plain tars; "
            "unpack the shards where they lie"
        )
    begun, lookout = time.monotonic(), _Lookout(cache)
    try:
        return lookout.tars(names, pattern)
    finally:
        if lookout.failures:
            cache.journal.note(pattern, False, 0, time.monotonic() - begun, lookout.failures)


@final
class _Lookout:
    """Asks stores what there is, and counts what fails on the way."""

    def __init__(self, cache: ShardCache) -> None:
        self.cache, self.patience = cache, cache.patience
        self.failures = Counter[str]()
        self._lock = threading.Lock()

    def tars(self, names: Sequence[str], pattern: str) -> list[Remote]:
        plain = [name for name in names if not _is_pattern(name)]
        known = {remote.address: remote for remote in self._listed(plain)}
        known |= self._indexed([name for name in plain if name not in known])
        rest = [name for name in plain if name not in known]
        known |= self._looked_at(rest, len(plain), pattern)
        found: list[Remote] = []
        for name in names:
            found += [known[name]] if name in known else self._matching(name)
        return found

    def _asked(self, address: str, ask: Callable[[Store], T], stop: Stop | None = None) -> T:
        failures = Counter[str]()
        store = store_of(address, self.patience.timeout)
        sleep = stop.sleep if stop else time.sleep
        try:
            return persist(lambda: ask(store), address, self.patience, failures, sleep=sleep)
        finally:
            with self._lock:  # threads ask side by side
                self.failures.update(failures)

    def _matching(self, pattern: str) -> list[Remote]:
        wanted = f"{pattern}*.tar" if pattern.endswith("/") else pattern
        found = self._found(wanted)
        if not found:
            raise NotThere(f"no file matches '{wanted}'; check the address")
        return found

    def _found(self, pattern: str) -> list[Remote]:
        return self._asked(pattern, lambda store: store.find(pattern))

    def _listed(self, names: Sequence[str]) -> list[Remote]:
        """What listing the folders with many of these names tells: one question in place of thousands."""
        folders = Counter(name.rpartition("/")[0] for name in names if not is_web(name))
        crowded = [folder for folder, count in folders.items() if count > _FEW and not glob.has_magic(folder)]
        return [remote for folder in crowded for remote in self._found(f"{folder}/*")]

    def _indexed(self, names: Sequence[str]) -> dict[str, Remote]:
        """Very many shards that the index beside them lists, less some that are looked at to see if it fits.

        The others are known by their digest, and held against it when they are first read.
        """
        if len(names) <= LOOKED_AT:
            return {}
        looked_at = {names[place * (len(names) - 1) // (LOOKED_AT - 1)] for place in range(LOOKED_AT)}
        found = dict[str, Remote]()
        for folder in dict.fromkeys(name.rpartition("/")[0] for name in names):
            index, _ = RemoteShelf(f"{folder}/", [], self.cache).read_index()
            rows = zip(index.names, index.sizes.tolist(), index.digests(True), strict=True)
            for name, size, digest in rows:
                address = f"{folder}/{name}"
                found[address] = Remote(address, size, f"{INDEXED}{digest.tobytes().hex()}")
        return {name: found[name] for name in names if name in found and name not in looked_at}

    def _looked_at(self, names: Sequence[str], among: int, pattern: str) -> dict[str, Remote]:
        """What lies at each of these addresses.

        Raises:
            NotThere: some are missing: with them left out, two runs would compare different data unseen.
        """
        with Bar("looking at remote shards", len(names), "shards") as bar:

            def look(name: str, stop: Stop) -> Remote | None:
                stop.check()
                try:
                    return self._asked(name, lambda store: store.look(name), stop)
                except NotThere:
                    return None
                finally:
                    bar.add(1)

            found = at_once(look, names, _THREADS)
        missing = [name for name, remote in zip(names, found, strict=True) if remote is None]
        if missing:
            raise NotThere(
                f"{len(missing):,} of the {among:,} shards of '{pattern}' are missing, first '{missing[0]}'"
                if among > 1
                else f"'{pattern}' is not there; check the address"
            )
        return {remote.address: remote for remote in found if remote is not None}


def _is_pattern(name: str) -> bool:
    if is_web(name):  # where a question mark begins a query
        return name.endswith("/") or "*" in name.partition("?")[0]
    return name.endswith("/") or glob.has_magic(name)
