"""What lies where in a tar: built once by a walk over it (`walk`), kept in a sidecar file."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from jaxtyping import UInt8, UInt64

from sightword.pairs.files import cache_dir, write_whole
from sightword.pairs.tars.contents import SIDECAR, Index, IndexReport, ShardFacts
from sightword.pairs.tars.tar import Tar
from sightword.pairs.tars.walk import Tick, build

VERSION = 3  # of a stored index
UNREADABLE = (
    Exception,
)  # on damaged bytes zip, numpy and json raise anything, and an index can be built again
_EDGE = 4096
T = TypeVar("T")


def index_of(tar: Tar, tick: Tick = lambda size: None) -> Index:
    """The index of a tar: from its sidecar where that fits, else built and stored.

    The sidecar lies beside the tar, or in the cache folder where that is read-only, and fits when the
    tar's size, time of change and first and last bytes are what they were.

    Args:
        tar: the tar.
        tick: told of bytes as they are done, in all as many as the tar has.

    Raises:
        SightwordError: the disk cannot read the tar.
    """
    stamp = _stamp(tar)
    index = _stored(tar, stamp, read_index)
    if index is not None:
        tick(tar.stat.st_size)
        return index
    index = build(tar, tick)
    for place in _places(tar.path):
        try:
            write_whole(place, lambda file: write_index(file, index, stamp))
            break
        except OSError:
            continue  # a read-only folder; with no place at all the index is simply built again next time
    return index


def facts_of(tar: Tar, tick: Tick = lambda size: None) -> ShardFacts:
    """`index_of(tar).facts`, without reading the whole of a sidecar."""
    facts = _stored(tar, _stamp(tar), read_facts)
    if facts is None:
        return index_of(tar, tick).facts
    tick(tar.stat.st_size)
    return facts


def hashes_of(tar: Tar) -> UInt64[np.ndarray, " n"]:
    """`index_of(tar).hashes`, of the keys, without reading the whole of a sidecar."""
    hashes = _stored(tar, _stamp(tar), _read_hashes)
    return index_of(tar).hashes if hashes is None else hashes


def write_index(file: BinaryIO, index: Index, stamp: Mapping[str, Any]) -> None:
    """Store an index, with what says for which shard it is."""
    about = {"stamp": stamp, "facts": dataclasses.asdict(index.facts), "seal": _seal(index)}
    buffer = io.BytesIO()  # a zip is written with seeks back and forth; the file gets it in one piece
    np.savez(
        buffer,
        about=_bytes(about),
        keys=_bytes(list(index.keys)),
        spans=index.spans,
        splits=index.splits,
        captioned=index.captioned,
        hashes=index.hashes,
        left_out=_bytes([list(index.bad), list(index.damages)]),
    )
    file.write(buffer.getvalue())


def read_index(place: Path, stamp: Mapping[str, Any]) -> Index:
    """A stored index; raises one of `UNREADABLE` when there is none, or it is of another shard."""
    with np.load(place, allow_pickle=False) as stored:
        facts = _facts(stored, stamp)
        names = [name for name, *_ in facts.splits]
        keys = json.loads(stored["keys"].tobytes())
        bad, damages = json.loads(stored["left_out"].tobytes())
        index = Index(
            stored["spans"], keys, stored["splits"], names, stored["captioned"], stored["hashes"],
            facts.digest, facts.whole, facts.report, [(key, reason) for key, reason in bad], damages,
        )  # fmt: skip
        if _seal(index) != json.loads(stored["about"].tobytes())["seal"]:
            raise ValueError("the index is damaged")
        return index


def read_facts(place: Path, stamp: Mapping[str, Any]) -> ShardFacts:
    """The facts in a stored index; raises as `read_index`."""
    with np.load(place, allow_pickle=False) as stored:
        return _facts(stored, stamp)


def _read_hashes(place: Path, stamp: Mapping[str, Any]) -> UInt64[np.ndarray, " n"]:
    with np.load(place, allow_pickle=False) as stored:
        _facts(stored, stamp)
        hashes: UInt64[np.ndarray, " n"] = stored["hashes"]
        return hashes


def _bytes(value: object) -> UInt8[np.ndarray, " n"]:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def _seal(index: Index) -> str:
    """A hash of where everything lies: a place that moved would serve another sample's bytes."""
    content = hashlib.blake2b(
        json.dumps([list(index.keys), *index.bad, *index.damages]).encode(), digest_size=16
    )
    for array in (index.spans, index.splits, index.captioned, index.hashes):
        content.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return content.hexdigest()


def _facts(stored: Mapping[str, Any], stamp: Mapping[str, Any]) -> ShardFacts:
    about = json.loads(stored["about"].tobytes())
    if about["stamp"] != stamp:
        raise ValueError("the shard has changed")
    facts = about["facts"]
    report, splits = IndexReport(**facts["report"]), tuple(map(tuple, facts["splits"]))
    return ShardFacts(report, facts["captionless"], facts["digest"], facts["whole"], splits)


def _stored(tar: Tar, stamp: Mapping[str, Any], read: Callable[[Path, Mapping[str, Any]], T]) -> T | None:
    for place in _places(tar.path):
        try:
            return read(place, stamp)
        except UNREADABLE:
            continue
    return None


def _stamp(tar: Tar) -> dict[str, Any]:
    size = tar.stat.st_size
    edges = tar.read(0, min(_EDGE, size)) + tar.read(max(0, size - _EDGE), min(_EDGE, size))
    fingerprint = hashlib.blake2b(edges, digest_size=16).hexdigest()
    return {"version": VERSION, "size": size, "mtime_ns": tar.stat.st_mtime_ns, "fingerprint": fingerprint}


def _places(path: Path) -> tuple[Path, Path]:
    name = hashlib.blake2b(str(path.resolve()).encode(errors="surrogateescape"), digest_size=16).hexdigest()
    return path.with_name(path.name + SIDECAR), cache_dir() / "index" / f"{name}.npz"
