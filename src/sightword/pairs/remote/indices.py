"""What lies where in remote shards: found out once, when a shard first passes, and kept.

Indices are small; they stay in the cache when the shards themselves are removed. Each is known by its shard's
address, size and tag, so opening a data set again reads none of its shards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.pairs.files import cache_dir, write_whole
from sightword.pairs.remote.at_once import Stop, at_once
from sightword.pairs.remote.bar import Bar
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.tars.contents import Index, ShardFacts
from sightword.pairs.tars.index import UNREADABLE, VERSION, read_facts, read_index, write_index
from sightword.pairs.tars.walk import build

THREADS = 8  # shards fetched at once


def index_of_remote(remote: Remote, cache: ShardCache) -> Index:
    """A remote shard's index; the shard is fetched when it is not known yet.

    Raises:
        SightwordError: the shard cannot be fetched or is damaged, or the cache cannot be written.
    """
    place = _place(remote)
    try:
        return read_index(place, _stamp(remote))
    except UNREADABLE:
        index = build(cache.open(remote))
    try:
        write_whole(place, lambda file: write_index(file, index, _stamp(remote)))
    except OSError as error:
        raise SightwordError(
            f"cannot write '{place}' ({error.strerror}); set SIGHTWORD_CACHE to a folder with free space"
        ) from error
    return index


def facts_of_remote(remote: Remote, cache: ShardCache) -> ShardFacts:
    """`index_of_remote(remote, cache).facts`, without reading the whole of a stored index."""
    try:
        return read_facts(_place(remote), _stamp(remote))
    except UNREADABLE:
        return index_of_remote(remote, cache).facts


def examine(remotes: Sequence[Remote], cache: ShardCache) -> list[ShardFacts]:
    """What every shard holds; several are fetched at once. What is done stays done when it is stopped.

    Raises:
        SightwordError: as `index_of_remote`.
    """
    unknown = {remote: 0 for remote in remotes if not _place(remote).is_file()}  # bytes that have arrived
    with Bar("examining remote shards", sum(remote.size for remote in unknown), "bytes") as bar:

        def look(remote: Remote, stop: Stop) -> ShardFacts:
            stop.check()
            if remote not in unknown:
                return facts_of_remote(remote, cache)

            def moved(size: int) -> None:
                unknown[remote] += size
                bar.add(size)

            cache.fetch(remote, moved, stop)
            facts = facts_of_remote(remote, cache)
            bar.add(remote.size - unknown[remote])  # the rest was here before
            return facts

        return at_once(look, remotes, THREADS)


def _place(remote: Remote) -> Path:
    return cache_dir() / "index" / f"{remote.key}.npz"


def _stamp(remote: Remote) -> dict[str, Any]:
    return {"version": VERSION, **dataclasses.asdict(remote)}
