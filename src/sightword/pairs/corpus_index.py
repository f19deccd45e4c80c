"""Floor 3. One file that describes a whole folder of shards, so that opening them opens none.

`shards.index.parquet` lies beside the shards: a row a shard with its name, size, counts and digest. Any tool
reads it. What it says follows from the shards' own indices alone, so with it or without it a data set has the
same samples, the same report and the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64, UInt8

from sightword.pairs.contents import IndexReport, ShardFacts

UNREADABLE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)
_VERSION = 1
_DIGEST = 16  # bytes
_ABOUT = b"sightword"
_COUNTS = tuple(field.name for field in fields(IndexReport))
_SPLIT = pa.struct([("name", pa.string()), ("pairs", pa.int64()), ("captionless", pa.int64())])
SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # of the file, without its folder
        ("bytes", pa.int64()),  # of the file
        ("digest", pa.binary(_DIGEST)),  # see `ShardFacts`
        ("whole", pa.binary(_DIGEST)),
        ("captionless", pa.int64()),
        *((name, pa.int64()) for name in _COUNTS),  # `samples` are the pairs
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
    """Facts of many shards, a row each. `read` and `write` keep them, `of` makes them."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table.combine_chunks()

    @classmethod
    def of(cls, shards: Iterable[Described]) -> CorpusIndex:
        """The index of these shards, in this order."""
        return cls(pa.Table.from_pylist([_row(shard) for shard in shards], SCHEMA))

    @classmethod
    def read(cls, file: Path | BinaryIO) -> CorpusIndex:
        """What `write` wrote. Raises one of `UNREADABLE` when it is not there whole."""
        table = pq.read_table(file, page_checksum_verification=True, use_threads=False)
        about = json.loads((table.schema.metadata or {})[_ABOUT])
        index = cls(table.select(SCHEMA.names).cast(SCHEMA))
        if about != index._about():
            raise ValueError("it was written by another version, or changed since")
        return index

    def write(self, file: BinaryIO) -> None:
        """Write it to an open file."""
        table = self.table.replace_schema_metadata({_ABOUT: json.dumps(self._about()).encode()})
        pq.write_table(table, file, write_page_checksum=True, compression="zstd")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def names(self) -> list[str]:
        """Of the files, without their folder."""
        names: list[str] = self.table["name"].to_pylist()
        return names

    @property
    def sizes(self) -> Int64[np.ndarray, " n"]:
        """Of the files, in bytes."""
        return self._column("bytes")

    @property
    def split_names(self) -> list[str]:
        """The splits that samples say they belong to."""
        return sorted(set(self._splits().field("name").to_pylist()))

    def counts(self, split: str = "", captionless: bool = False) -> Int64[np.ndarray, " n"]:
        """Samples of each shard: of one split or of all, with or without pictures that have no caption."""
        if not split:
            return self._column("samples") + (self._column("captionless") if captionless else 0)
        column = self.table["splits"].combine_chunks()
        lengths = column.value_lengths().fill_null(0).to_numpy()
        entries = self._splits()
        mine = np.array(entries.field("name").to_pylist(), dtype=object) == split
        served = entries.field("pairs").to_numpy() + captionless * entries.field("captionless").to_numpy()
        counts = np.zeros(len(self), dtype=np.int64)
        np.add.at(counts, np.repeat(np.arange(len(self)), lengths)[mine], served[mine])
        return counts

    def digests(self, captionless: bool = False) -> UInt8[np.ndarray, "n 16"]:
        """Of each shard, over the samples that are served."""
        column = self.table["whole" if captionless else "digest"].combine_chunks()
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

    def take(self, rows: Sequence[int] | Int64[np.ndarray, " m"]) -> CorpusIndex:
        """These shards, in this order."""
        return CorpusIndex(self.table.take(pa.array(rows, type=pa.int64())))

    def __add__(self, other: CorpusIndex) -> CorpusIndex:
        return CorpusIndex(pa.concat_tables([self.table, other.table]))

    def _column(self, name: str) -> Int64[np.ndarray, " n"]:
        column: Int64[np.ndarray, " n"] = self.table[name].to_numpy()
        return column

    def _splits(self) -> pa.StructArray:
        return self.table["splits"].combine_chunks().flatten()

    def _about(self) -> dict[str, int | str]:
        return {"version": _VERSION, "data_hash": self.data_hash(), "whole_hash": self.data_hash("", True)}


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
