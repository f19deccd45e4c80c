"""Features that need not be made again: of the index there is, and of work that was cut short.

Work is kept in `unfinished/`, a Parquet of some thousand vectors at a time, until the index is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from sightword.pairs.files import sweep, write_whole
from sightword.use.index.folder import UNFINISHED, Opened

_WEIGHTS, _DATA = b"weights_hash", b"data_hash"


@dataclass(eq=False)
class Known:
    """Vectors by the keys of their pictures.

    rows: for each key, where its vector is.
    stamps: of each row, what its picture was.
    sure: of each row, whether its source is known to be as it was, so that no picture need be read again.
    """

    vectors: Float[np.ndarray, "n d"]
    rows: Mapping[str, int]
    stamps: Sequence[str]
    sure: Sequence[bool]

    def row(self, key: str, stamp: str) -> int | None:
        """Where the vector of a picture is that is as it was; None: there is none, or its bytes must tell."""
        row = self.rows.get(key)
        if row is None:
            return None
        same = self.stamps[row] == stamp if stamp else self.sure[row] and self.stamps[row].startswith("#")
        return row if same else None

    def hashed(self, key: str) -> tuple[int, str] | None:
        """Row and hash of a picture of that key, where its bytes were hashed."""
        row = self.rows.get(key)
        return (row, self.stamps[row]) if row is not None and self.stamps[row].startswith("#") else None


@dataclass(eq=False)
class _Gathered:
    vectors: list[np.ndarray] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    stamps: list[str] = field(default_factory=list)
    sure: list[bool] = field(default_factory=list)

    def take(self, keys: Sequence[str], stamps: Sequence[str], vectors: np.ndarray, sure: bool) -> None:
        """Put these over what is there, but for those that are there already, just so."""
        new = [i for i, pair in enumerate(zip(keys, stamps, strict=True)) if not self.has(*pair)]
        self.rows |= {keys[i]: len(self.stamps) + place for place, i in enumerate(new)}
        self.stamps += [stamps[i] for i in new]
        self.sure += [sure] * len(new)
        self.vectors.append(vectors if len(new) == len(keys) else vectors[new])

    def has(self, key: str, stamp: str) -> bool:
        return key in self.rows and self.stamps[self.rows[key]] == stamp


@final
class Unfinished:
    """Where features are kept while an index is made."""

    def __init__(self, folder: Path, weights_hash: str, data_hash: str, width: int) -> None:
        self.folder, self.width = folder / UNFINISHED, width
        self._facts = {_WEIGHTS: weights_hash.encode(), _DATA: data_hash.encode()}
        self._count = 0

    def keep(self, keys: Sequence[str], stamps: Sequence[str], vectors: Float[np.ndarray, "n d"]) -> None:
        """Put features aside.

        Raises:
            OSError: the disk is full, or refuses.
        """
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
        columns = {
            "key": pa.array(keys, pa.string()),
            "stamp": pa.array(stamps, pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, self.width),
        }
        table = pa.table(columns).replace_schema_metadata(self._facts)
        while (path := self.folder / f"{self._count:06}.parquet").exists():
            self._count += 1
        write_whole(path, lambda file: pq.write_table(table, file))

    def known(self, before: Opened | None) -> Known:
        """What the index has, and over it what was kept here; what is of other weights is passed over."""
        found = _Gathered()
        if before is not None:
            keys, stamps = (before.pictures.column(name).to_pylist() for name in ("key", "stamp"))
            sure = before.about.data_hash.encode() == self._facts[_DATA]
            found.take(keys, stamps, before.engine.vectors(), sure)
        for path in sorted(self.folder.glob("*.parquet")):
            self._read(path, found)
        pieces = [piece for piece in found.vectors if len(piece)] or [np.zeros((0, self.width), np.float32)]
        vectors = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)  # no copy of a million in vain
        return Known(vectors, found.rows, found.stamps, found.sure)

    def remove(self) -> None:
        """Everything is in the index."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, path: Path, found: _Gathered) -> None:
        """A piece that cannot be read costs only itself."""
        sweep(self.folder)
        try:
            table = pq.read_table(path)
            facts = table.schema.metadata or {}
            keys, stamps = (table.column(name).to_pylist() for name in ("key", "stamp"))
            flat = table.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
            vectors = np.asarray(flat, dtype=np.float32).reshape(len(keys), self.width)
        except (OSError, ValueError, KeyError, AttributeError, pa.ArrowException):
            return
        if facts.get(_WEIGHTS) == self._facts[_WEIGHTS] and np.isfinite(vectors).all():
            found.take(keys, stamps, vectors, facts.get(_DATA) == self._facts[_DATA])
