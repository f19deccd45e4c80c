"""One shard of a packed corpus: a pure function of the plan and the shard's number, and its record."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64

from sightword.corpora.packing.encoding import Encoding, encoded
from sightword.corpora.packing.keys import numbered, safe
from sightword.corpora.parallel import Tick
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.files import write_whole
from sightword.pairs.order import permuted
from sightword.pairs.reading import Reading
from sightword.pairs.sample import Sample
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.writer import members, shard_name, write_shard
from sightword.randomness import mix, stream

_EDGE = 1 << 16  # bytes at each end of a tar that tell it from a torn one
_EVERY = 16  # samples between two ticks


@dataclass(frozen=True)
class Bad:
    """A sample that was left out."""

    number: int  # its place in the source
    key: str
    reason: str


@dataclass(frozen=True)
class Shard:
    """What became of one shard; the first six fields are those of img2dataset's `00000_stats.json`."""

    count: int  # samples that were to be in it
    successes: int
    failed_to_download: int  # nothing is fetched here: 0
    failed_to_resize: int  # could not be read, decoded or written
    duration: float  # seconds
    status_dict: Mapping[str, int]  # how many came to which end
    number: int
    plan: str  # the hash of what it was made by
    bytes: int
    edges: str  # a hash of the tar's first and last bytes
    encoded: int  # pictures that were made anew
    renamed: int  # keys that were changed
    bad: tuple[Bad, ...]


@dataclass(frozen=True)
class Packing:
    """All that a process needs to write any shard.

    Args:
        pairs: where samples come from.
        out: the folder.
        per_shard: samples of a shard.
        shuffle: the seed of a random distribution over shards; None: in the order of the source.
        keys: `keep`, or `number` for img2dataset's running numbers.
        encoding: what becomes of pictures.
        verify: decode also what is left alone.
        reading: how pairs are read; `captionless`: whether samples without words are wanted.
        plan: the hash of all this.
        twins: ascending places of samples whose key another one has.
    """

    pairs: Pairs
    out: Path
    per_shard: int
    shuffle: int | None
    keys: Literal["keep", "number"]
    encoding: Encoding
    verify: bool
    reading: Reading
    plan: str
    twins: Int64[np.ndarray, " t"]

    @cached_property
    def shards(self) -> int:
        """How many there will be."""
        return math.ceil(len(self.pairs) / self.per_shard)

    def tar(self, number: int) -> Path:
        """Where shard `number` lies."""
        return self.out / shard_name(number, self.shards)

    def samples_of(self, number: int) -> Int64[np.ndarray, " n"]:
        """The places in the source of a shard's samples, ascending, shape (n,).

        Shuffled, positions are sent through one keyed permutation of all; inside a shard the order of the
        source stays, so that reading is as sequential as it can be.
        """
        total = len(self.pairs)
        positions = np.arange(
            number * self.per_shard, min((number + 1) * self.per_shard, total), dtype=np.int64
        )
        if self.shuffle is None:
            return positions
        key = mix(np.full(len(positions), stream("pack", self.shuffle), dtype=np.uint64))
        return np.sort(permuted(positions, np.full(len(positions), total, dtype=np.int64), key))


def write(packing: Packing, number: int, tick: Tick) -> Shard:
    """Write shard `number`, its index and its record.

    Raises:
        SightwordError: it cannot be written; no half of it is left.
    """
    started = time.monotonic()
    job = _Job(packing, number, tick)
    path = packing.tar(number)
    try:
        successes = write_shard(path, job.samples())
        if successes:
            open_pairs(str(path), reading=packing.reading)  # writes the index beside it
        shard = job.told(successes, time.monotonic() - started)
        text = json.dumps(dataclasses.asdict(shard), ensure_ascii=False, indent=1)
        write_whole(stats_file(path), lambda file: file.write(text.encode(errors="backslashreplace")))
    except OSError as error:
        raise SightwordError(
            f"cannot write '{path}' ({error.strerror or error}); finished shards are whole: make room "
            "or give another --out, and run the same command again to go on"
        ) from error
    return shard


def finished(packing: Packing, number: int) -> Shard | None:
    """The record of a shard that was written whole by the same plan; None when there is none."""
    path = packing.tar(number)
    try:
        told = json.loads(stats_file(path).read_bytes())
        bad = tuple(Bad(**entry) for entry in told.pop("bad"))
        shard = Shard(**told, bad=bad)
        whole = shard.plan == packing.plan and (shard.bytes, shard.edges) == _measured(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return shard if whole else None


def stats_file(tar: Path) -> Path:
    """The record beside a tar, named as img2dataset does."""
    return tar.with_name(f"{tar.stem}_stats.json")


class _Job:
    """The samples of one shard on their way, and what is counted meanwhile."""

    def __init__(self, packing: Packing, number: int, tick: Tick) -> None:
        self._packing, self._number, self._tick = packing, number, tick
        self._wanted = packing.samples_of(number)
        twins = np.searchsorted(packing.twins, self._wanted)
        known = np.append(packing.twins, -1)[twins]
        self._twins = set(self._wanted[known == self._wanted].tolist())
        self._bad: list[Bad] = []
        self._encoded = self._renamed = 0

    def samples(self) -> Iterator[Sample]:
        for row, number in enumerate(self._wanted.tolist()):
            try:
                yield self._sample(row, number)
            except BadSample as error:
                self._bad.append(Bad(number, error.key, error.reason))
            if (row + 1) % _EVERY == 0:
                self._tick(_EVERY)
        self._tick(len(self._wanted) % _EVERY)

    def told(self, successes: int, seconds: float) -> Shard:
        size, edges = _measured(self._packing.tar(self._number))
        ends = Counter({"success": successes}) + Counter(bad.reason for bad in self._bad)
        return Shard(
            count=len(self._wanted),
            successes=successes,
            failed_to_download=0,
            failed_to_resize=len(self._bad),
            duration=seconds,
            status_dict=dict(sorted(ends.items())),
            number=self._number,
            plan=self._packing.plan,
            bytes=size,
            edges=edges,
            encoded=self._encoded,
            renamed=self._renamed,
            bad=tuple(self._bad),
        )

    def _sample(self, row: int, number: int) -> Sample:
        packing = self._packing
        sample = _read(packing.pairs, number)
        captions = tuple(caption for caption in sample.captions if caption.strip())
        if not captions and not packing.reading.captionless:
            raise BadSample(sample.key, "no caption")
        image = encoded(sample.image, sample.key, packing.encoding, packing.verify)
        key = self._key(sample.key, row, number)
        fields = {str(name): plain(value) for name, value in sample.fields.items()}
        if key != sample.key:
            fields.setdefault("original_key", sample.key)
        packed = Sample(key, captions, fields, image)
        _check_text(packed, sample.key)
        self._encoded += image is not sample.image
        self._renamed += key != sample.key
        return packed

    def _key(self, key: str, row: int, number: int) -> str:
        if self._packing.keys == "number":
            width = len(str(self._packing.per_shard - 1))
            return f"{self._packing.tar(self._number).stem}{row:0{width}d}"
        return numbered(safe(key), number) if number in self._twins else safe(key)


def plain(value: Any) -> Any:
    """A value that JSON holds: what it cannot hold becomes text, bytes base64, a number that is none null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return str(value)


def _read(pairs: Pairs, number: int) -> Sample:
    """A sample; a disk that fails to give one is a fault of that sample."""
    try:
        return pairs[number]
    except OSError as error:
        raise BadSample(f"sample {number}", f"cannot be read: {error.strerror or error}") from error


def _check_text(sample: Sample, key: str) -> None:
    try:
        list(members(sample))
    except UnicodeEncodeError as error:
        raise BadSample(key, f"text that UTF-8 cannot hold: {error.reason}") from error


def _measured(path: Path) -> tuple[int, str]:
    """Size and a hash of both ends: a file that was written whole has not become another by chance."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(_EDGE)
        file.seek(max(0, size - _EDGE))
        last = file.read(_EDGE)
    return size, hashlib.blake2b(first + last, digest_size=16).hexdigest()
