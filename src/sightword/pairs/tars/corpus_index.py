"""One file that describes a whole folder of shards, so that opening them opens none.

`shards.index.arrow` lies beside the shards, an Arrow file (also known as Feather) with a row a shard: name,
size, counts and digest. It is read whole, in one piece that arrays then point into. What it says follows from
the shards' own indices alone, so with it or without it a data set has the same samples, report and hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import final

import numpy as np
import pyarrow as pa
from jaxtyping import Int64, UInt8

from sightword.pairs.tars.contents import IndexReport, ShardFacts

UNREADABLE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)
_VERSION = 1
_DIGEST = 16  # bytes
_ABOUT = b"sightword"
_COUNTS = tuple(field.name for field in fields(IndexReport))
_SPLIT = pa.struct([("name", pa.string()), ("pairs", pa.int32()), ("captionless", pa.int32())])
SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # of the file, without its folder
        ("bytes", pa.int64()),  # of the file
        ("digest", pa.binary(_DIGEST)),  # see `ShardFacts`
        ("whole", pa.binary(_DIGEST)),
        ("captionless", pa.int32()),
        *((name, pa.int32()) for name in _COUNTS),  # `samples` are the pairs
        ("splits", pa.list_(_SPLIT)),
    ]
)


@dataclass(frozen=True)
class Described:
    """A shard's row."""

    name: str
    size: int  # bytes
    facts: ShardFacts


@final
class CorpusIndex:
    """Facts of many shards, a row each. `of` makes it, `packed` and `read` keep it."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch

    @classmethod
    def of(cls, shards: Iterable[Described]) -> CorpusIndex:
        """The index of these shards, in this order."""
        return cls(pa.RecordBatch.from_pylist([_row(shard) for shard in shards], SCHEMA))

    @classmethod
    def read(cls, content: bytes) -> CorpusIndex:
        """What `packed` packed. Raises one of `UNREADABLE` when it is not whole."""
        with pa.ipc.open_file(pa.py_buffer(content)) as reader:
            about = json.loads((reader.schema.metadata or {})[_ABOUT])
            if about["version"] != _VERSION or not reader.schema.equals(SCHEMA):
                raise ValueError("it was written by another version")
            index = cls(reader.get_batch(0))
        index.batch.validate(full=True)
        if about["fingerprint"] != index._fingerprint():
            raise ValueError("it is damaged")
        return index

    def packed(self) -> bytes:
        """The content of its file."""
        about = {
            "version": _VERSION,
            "fingerprint": self._fingerprint(),
            "data_hash": self.data_hash(),
            "samples": int(self.counts().sum()),
        }
        schema = SCHEMA.with_metadata({_ABOUT: json.dumps(about).encode()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(self.batch)
        content: bytes = sink.getvalue().to_pybytes()
        return content

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @property
    def names(self) -> list[str]:
        """Of the files, without their folder."""
        names: list[str] = self.batch["name"].to_pylist()
        return names

    @property
    def sizes(self) -> Int64[np.ndarray, " n"]:
        """Of the files, in bytes."""
        return self._column("bytes")

    @property
    def split_names(self) -> list[str]:
        """The splits that samples say they belong to."""
        return sorted(set(self._splits()[1].field("name").to_pylist()))

    def counts(self, split: str = "", captionless: bool = False) -> Int64[np.ndarray, " n"]:
        """Samples of each shard: of one split or of all, with or without pictures that have no caption."""
        if not split:
            return self._column("samples") + (self._column("captionless") if captionless else 0)
        lengths, entries = self._splits()
        mine = np.array(entries.field("name").to_pylist(), dtype=object) == split
        served = entries.field("pairs").to_numpy() + captionless * entries.field("captionless").to_numpy()
        counts = np.zeros(len(self), dtype=np.int64)
        np.add.at(counts, np.repeat(np.arange(len(self)), lengths)[mine], served[mine])
        return counts

    def digests(self, captionless: bool = False) -> UInt8[np.ndarray, "n 16"]:
        """Of each shard, over the samples that are served."""
        column = self.batch["whole" if captionless else "digest"]
        whole = np.frombuffer(column.buffers()[1] or b"", dtype=np.uint8).reshape(-1, _DIGEST)
        return whole[column.offset : column.offset + len(column)]

    def data_hash(self, split: str = "", captionless: bool = False) -> str:
        """A hash of what the samples are and of their order, not of where they lie."""
        content = hashlib.blake2b(split.encode(), digest_size=16)
        content.update(self.digests(captionless).tobytes().hex().encode())
        return content.hexdigest()

    def report(self, captionless: bool = False) -> IndexReport:
        """What was found and what was left out, over all shards."""
        report = IndexReport(**{name: int(self._column(name).sum()) for name in _COUNTS})
        return report.with_captionless(int(self._column("captionless").sum())) if captionless else report

    def having(self, *counts: str) -> Int64[np.ndarray, " m"]:
        """The rows of shards in which any of these counts of `IndexReport` is not 0."""
        return np.flatnonzero(sum(self._column(name) for name in counts)).astype(np.int64)

    def take(self, rows: Sequence[int] | Int64[np.ndarray, " m"]) -> CorpusIndex:
        """These shards, in this order."""
        return CorpusIndex(self.batch.take(pa.array(rows, type=pa.int64())))

    def __add__(self, other: CorpusIndex) -> CorpusIndex:
        both = pa.Table.from_batches([self.batch, other.batch]).combine_chunks().to_batches()
        return CorpusIndex(both[0]) if both else self

    def lists(self, names: Sequence[str]) -> bool:
        """Whether it describes exactly these shards, in this order."""
        return bool(self.batch["name"].equals(pa.array(names, type=pa.string())))

    def _column(self, name: str) -> Int64[np.ndarray, " n"]:
        return self.batch[name].to_numpy().astype(np.int64)

    def _splits(self) -> tuple[Int64[np.ndarray, " n"], pa.StructArray]:
        """How many entries each shard has, and all entries one after another."""
        column = self.batch["splits"]
        return np.diff(column.offsets.to_numpy()).astype(np.int64), column.flatten()

    def _fingerprint(self) -> str:
        """Of everything in it."""
        content = hashlib.blake2b("\0".join(self.names).encode(), digest_size=_DIGEST)
        for captionless in (False, True):
            content.update(self.digests(captionless).tobytes())
        for name in ("bytes", "captionless", *_COUNTS):
            content.update(self._column(name).tobytes())
        lengths, entries = self._splits()
        content.update(lengths.tobytes())
        content.update("\0".join(entries.field("name").to_pylist()).encode())
        for name in ("pairs", "captionless"):
            content.update(entries.field(name).to_numpy().astype(np.int64).tobytes())
        return content.hexdigest()


def _row(shard: Described) -> dict[str, object]:
    facts, names = shard.facts, [field.name for field in _SPLIT]
    return {
        "name": shard.name,
        "bytes": shard.size,
        "digest": bytes.fromhex(facts.digest),
        "whole": bytes.fromhex(facts.whole),
        "captionless": facts.captionless,
        **asdict(facts.report),
        "splits": [dict(zip(names, split, strict=True)) for split in facts.splits],
    }
