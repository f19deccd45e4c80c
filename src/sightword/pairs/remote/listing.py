"""Floor 3. From addresses with stars to the remote tars that they mean, with size and tag of each."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from sightword.errors import SightwordError
from sightword.pairs.remote.at_once import Stop, at_once
from sightword.pairs.remote.bar import Bar
from sightword.pairs.remote.file import NotThere, Remote
from sightword.pairs.remote.patience import Patience, persist
from sightword.pairs.remote.stores import is_web, store_of

T = TypeVar("T")
_THREADS = 16
_FEW = 8  # names in one folder that are asked for one by one rather than by listing it
_PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst")


def remote_tars(names: Sequence[str], pattern: str, patience: Patience) -> list[Remote]:
    """The tars that addresses name, in this order, those of a star sorted by name.

    Args:
        names: addresses without braces: of a tar, with stars, or of a folder, ending in `/`.
        pattern: what the user wrote, for messages.
        patience: with the network.

    Raises:
        SightwordError: some are missing or compressed, nothing matches, or a store cannot be read.
    """
    packed = next((name for name in names if name.endswith(_PACKED)), None)
    if packed is not None:
        raise SightwordError(
            f"'{packed}' is compressed, and pairs are read by random access, which needs plain tars; "
            "unpack the shards where they lie"
        )
    plain = [name for name in names if not _is_pattern(name)]
    known = {remote.address: remote for remote in _listed(plain, patience)}
    known |= _looked_at([name for name in plain if name not in known], len(plain), pattern, patience)
    found: list[Remote] = []
    for name in names:
        found += [known[name]] if name in known else _matching(name, patience)
    return found


def _is_pattern(name: str) -> bool:
    if is_web(name):  # where a question mark begins a query
        return name.endswith("/") or "*" in name.partition("?")[0]
    return name.endswith("/") or glob.has_magic(name)


def _matching(pattern: str, patience: Patience) -> list[Remote]:
    wanted = f"{pattern}*.tar" if pattern.endswith("/") else pattern
    store = store_of(wanted, patience.timeout)
    found = persist(lambda: store.find(wanted), wanted, patience, Counter())
    if not found:
        raise SightwordError(f"no file matches '{wanted}'; check the address")
    return found


def _listed(names: Sequence[str], patience: Patience) -> list[Remote]:
    """What listing the folders with many of these names tells of them: one question in place of thousands."""
    folders = Counter(name.rpartition("/")[0] for name in names if not is_web(name))
    crowded = [folder for folder, count in folders.items() if count > _FEW and not glob.has_magic(folder)]
    return [remote for folder in crowded for remote in _matching(f"{folder}/*", patience)]


def _looked_at(names: Sequence[str], among: int, pattern: str, patience: Patience) -> dict[str, Remote]:
    """What lies at each of these addresses.

    Raises:
        SightwordError: some are missing: with them left out, two runs would compare different data unseen.
    """
    with Bar("looking at remote shards", len(names), "shards") as bar:

        def look(name: str, stop: Stop) -> Remote | None:
            stop.check()
            store = store_of(name, patience.timeout)
            try:
                return persist(lambda: store.look(name), name, patience, Counter(), sleep=stop.sleep)
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
