"""What a set of shards holds: from the corpus index where one fits, else from the shards' own.

A corpus index speaks for a shard whose name and size it knows. When a data set is opened, the size of every
remote shard is looked at, and of local ones of up to 20,000, spread evenly where there are more; and each
shard is held against its digest when it is first read (`shards`). So an index saves time, and never decides
what is in a data set.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from sightword.errors import SightwordError
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote
from sightword.pairs.tars.contents import CORPUS, IndexReport
from sightword.pairs.tars.corpus_index import CorpusIndex
from sightword.pairs.tars.shelves import LocalShelf, RemoteShelf, Shelf

_COMPARED = 64_000_000  # keys, of 8 bytes each; of more, `sightword data check` tells


@dataclass(frozen=True)
class Survey:
    """What the shards hold, a row each in their order, and what a user should be told."""

    index: CorpusIndex
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Indexed:
    """An index that was written."""

    place: str  # of its file
    shards: int
    bytes: int  # of the shards together
    captionless: int  # pictures without captions
    report: IndexReport
    data_hash: str
    repeated_keys: int | None  # samples whose key came before; None: too many to compare, or not local


def survey(places: Sequence[str | Remote], where: str, cache: ShardCache | None = None) -> Survey:
    """Know what these tars hold.

    Args:
        places: of the tars.
        where: what the user wrote; a folder or a pattern with stars must have all that its index lists.
        cache: for those that lie elsewhere.

    Raises:
        SightwordError: a shard that an index lists is missing, or one cannot be read or is damaged.
    """
    shelves, rows = _shelves(places, cache)
    surveys = [_of_shelf(shelf, where) for shelf in shelves]
    index = surveys[0].index
    for other in surveys[1:]:
        index += other.index
    if len(shelves) > 1:
        index = index.take(rows)
    return Survey(index, tuple(note for found in surveys for note in found.notes))


def index_shards(places: Sequence[str | Remote], cache: ShardCache | None = None) -> list[Indexed]:
    """Write an index for each folder that these tars lie in; what it says of other tars there is kept.

    Every shard is examined, or its own index read; a bar is shown when that takes over two seconds.

    Args:
        places: of the tars.
        cache: for those that lie elsewhere.

    Raises:
        SightwordError: a shard cannot be read or is damaged, or the index cannot be written.
    """
    shelves, _ = _shelves(places, cache)
    return [_indexed(shelf) for shelf in shelves]


def _indexed(shelf: Shelf) -> Indexed:
    found = CorpusIndex.of(shelf.examined(range(len(shelf.names))))
    old, _ = shelf.read_index()
    mine = set(shelf.names)
    others = [row for row, name in enumerate(old.names) if name not in mine and shelf.still_there(name)]
    index = found + old.take(others)
    index = index.take(np.argsort(np.array(index.names, dtype=object), kind="stable").astype(np.int64))
    place = shelf.write_index(index)
    pictures = int(index.counts(captionless=True).sum() - index.counts().sum())
    return Indexed(
        place=place,
        shards=len(index),
        bytes=int(index.sizes.sum()),
        captionless=pictures,
        report=index.report(),
        data_hash=index.data_hash(),
        repeated_keys=shelf.repeated_keys() if index.counts().sum() <= _COMPARED else None,
    )


def _shelves(
    places: Sequence[str | Remote], cache: ShardCache | None
) -> tuple[list[Shelf], Int64[np.ndarray, " n"]]:
    """A shelf for each folder, and from their shards' order the rows in the order that was asked for."""
    paths = [place.address if isinstance(place, Remote) else place for place in places]
    folder, ends = _folder(paths[0]), (min(paths), max(paths))  # between which all others lie
    together = all(end.startswith(folder) for end in ends)
    if together and "/" not in "".join([path[len(folder) :] for path in paths]):
        return [_shelf(folder, places, cache)], np.arange(len(places))
    folders = dict[str, list[int]]()
    for number, path in enumerate(paths):
        folders.setdefault(_folder(path), []).append(number)
    shelves = [_shelf(where, [places[i] for i in mine], cache) for where, mine in folders.items()]
    return shelves, np.argsort(np.concatenate([np.array(mine) for mine in folders.values()]))


def _folder(path: str) -> str:
    """Where a shard lies, with the last slash."""
    folder, slash, _ = path.rpartition("/")
    return folder + slash


def _shelf(folder: str, places: Sequence[str | Remote], cache: ShardCache | None) -> Shelf:
    remotes = [place for place in places if isinstance(place, Remote)]
    if not remotes:
        return LocalShelf(folder, [place[len(folder) :] for place in places if isinstance(place, str)])
    assert cache is not None, "remote shards need a cache"
    return RemoteShelf(folder, remotes, cache)


def _of_shelf(shelf: Shelf, where: str) -> Survey:
    known, why = shelf.read_index()
    notes: tuple[str, ...] = (_unusable(shelf, why),) if why else ()
    if not len(known):
        return Survey(CorpusIndex.of(shelf.examined(range(len(shelf.names)))), notes)
    _check_missing(known, shelf, where)
    rows = rows_of(known, shelf.names)
    sizes = shelf.sizes()
    changed = (rows >= 0) & (sizes >= 0) & (sizes != known.sizes[rows])
    new = np.flatnonzero((rows < 0) | changed)
    if len(new) and (rows >= 0).any():
        notes += (_older(shelf, [shelf.names[row] for row in np.flatnonzero(rows < 0)], int(changed.sum())),)
    if not len(new) and np.array_equal(rows, np.arange(len(known))):
        return Survey(known, notes)
    rows[new] = len(known) + np.arange(len(new))
    return Survey((known + CorpusIndex.of(shelf.examined(new.tolist()))).take(rows), notes)


def rows_of(index: CorpusIndex, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """The row of each name, -1 for those that an index does not know."""
    if index.lists(names):
        return np.arange(len(names), dtype=np.int64)
    numbers = {name: number for number, name in enumerate(index.names)}
    return np.array([numbers.get(name, -1) for name in names], dtype=np.int64)


def _check_missing(known: CorpusIndex, shelf: Shelf, where: str) -> None:
    if known.lists(shelf.names):
        return
    there = set(shelf.names)
    missing = [name for name in _meant(known.names, where) if name not in there]
    if missing:
        raise SightwordError(
            f"{len(missing):,} of the {len(known):,} shards in the index '{shelf.folder}{CORPUS}' are "
            f"missing, first '{missing[0]}'; bring them back, or leave them out with: {_renew(shelf)}"
        )


def _meant(names: Iterable[str], where: str) -> Iterable[str]:
    """Those names in an index that the user's words take in; braces say themselves what must be there."""
    where = os.path.expanduser(where.removeprefix("file://"))
    pattern = os.path.basename(where)
    if os.path.isdir(where) or where.endswith("/"):
        return names
    if glob.has_magic(pattern) and "{" not in where and not os.path.exists(where):
        return [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    return ()


def _older(shelf: Shelf, additional: Sequence[str], changed: int) -> str:
    what = (
        [f"{len(additional):,} shards that it does not list (first '{additional[0]}')"] if additional else []
    )
    what += [f"{changed:,} of another size"] if changed else []
    return (
        f"the index '{shelf.folder}{CORPUS}' is older than its shards: there are {' and '.join(what)}, "
        f"which were examined by themselves; renew it with: {_renew(shelf)}"
    )


def _unusable(shelf: Shelf, why: str) -> str:
    return (
        f"the index of '{shelf.folder}' cannot be used ({why}); each shard's own is read instead: "
        f"write it anew with: {_renew(shelf)}"
    )


def _renew(shelf: Shelf) -> str:
    return f"sightword data index '{shelf.folder or '.'}'"
