"""Data sets that Hugging Face's `save_to_disk` wrote, read without its library.

A folder with `state.json`, which names Arrow streams and perhaps a file of row numbers (`select`, `shuffle`),
or with `dataset_dict.json`, which names a folder for each split.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.lists.arrow_rows import ArrowColumns, Spot, arrow_columns, arrow_rows
from sightword.pairs.lists.listed import Stamp, open_listed
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.pictures import ArrowTable
from sightword.pairs.lists.rows import Row
from sightword.pairs.lists.splits import choose_split
from sightword.pairs.lists.table_files import check_there
from sightword.pairs.reading import Reading

_DICT, _STATE = "dataset_dict.json", "state.json"
_SIZE = "size of the picture"  # a column that is added
_PIECE = 1000  # rows put together at a time when row numbers say the order
_UNREADABLE = (OSError, pa.ArrowException, KeyError, IndexError, TypeError)


def open_here(part: str, split: str, reading: Reading) -> Pairs | None:
    """Open a folder that `save_to_disk` wrote; of several splits `train`, unless another is asked for.

    Raises:
        SightwordError: a file is missing or damaged, a column is missing, or no row is left.
    """
    folder = Path(os.path.expanduser(part))
    note = ""
    if (folder / _DICT).is_file():
        name, note = choose_split(_names(_json(folder / _DICT), folder / _DICT), split, part)
        folder, split = folder / name, ""
    if not (folder / _STATE).is_file():
        return None
    files, indices = _files(folder, "_data_files"), _files(folder, "_indices_data_files")
    wanted = Wanted(part, split, reading.captionless)
    wanted.note(note)
    root = os.path.abspath(reading.image_root) if reading.image_root else ""
    how = (reading.image_key, reading.caption_key, root, len(files))
    stamp = Stamp.of([*files, *indices], "save_to_disk", *how)
    pairs = open_listed(rows_of(files, indices, reading, wanted), stamp, wanted)
    check_there(pairs, reading)
    return pairs


def rows_of(files: list[Path], indices: list[Path], reading: Reading, wanted: Wanted) -> Iterator[Row]:
    """The rows of Arrow files, in the order of the row numbers in `indices` when there are any.

    Raises:
        SightwordError: a file is damaged, or a column is missing.
    """
    tables = []
    for file in (*files, *indices):
        try:
            tables.append(ArrowTable(str(file.absolute())))
        except _UNREADABLE as error:
            raise SightwordError(
                f"'{file}' is no whole Arrow file ({error}); fetch or save it again"
            ) from error
    data = _Data(tables[: len(files)], [str(file.absolute()) for file in files])
    about = arrow_columns(data.schema, reading, data.paths[0])
    wanted.note(*about.columns.notes)
    wanted.expected = data.rows
    batches = [batch for table in tables[len(files) :] for batch in table.batches]
    pieces = data.in_order_of(batches, about) if indices else data.in_order(about)
    try:
        for light, spots in pieces:
            sizes = light.column(_SIZE).to_pylist()
            yield from arrow_rows(light, sizes, spots, about, wanted.left_out)
    except _UNREADABLE as error:
        raise SightwordError(f"'{wanted.name}' cannot be read ({error}); save it again") from error


@final
class _Data:
    """The batches of a data set's files."""

    def __init__(self, tables: list[ArrowTable], paths: list[str]) -> None:
        self.paths, self.schema = paths, tables[0].schema
        self.batches = [(paths[i], k, b) for i, t in enumerate(tables) for k, b in enumerate(t.batches)]
        self._ends = np.cumsum([len(batch) for *_, batch in self.batches]).astype(np.int64)
        self.rows = int(self._ends[-1]) if len(self._ends) else 0

    def in_order(self, about: ArrowColumns) -> Iterator[tuple[pa.Table, list[Spot]]]:
        """Each batch without its pictures' bytes, and where its rows stand."""
        for path, group, batch in self.batches:
            yield _light(batch, about), [(path, group, row) for row in range(len(batch))]

    def in_order_of(
        self, batches: list[pa.RecordBatch], about: ArrowColumns
    ) -> Iterator[tuple[pa.Table, list[Spot]]]:
        """Rows as the numbers in the first column of `batches` say."""
        whole = pa.concat_tables([_light(batch, about) for *_, batch in self.batches])
        for batch in batches:
            numbers = batch.column(0).to_numpy(zero_copy_only=False).astype(np.int64)
            for start in range(0, len(numbers), _PIECE):
                piece = numbers[start : start + _PIECE]
                yield whole.take(pa.array(piece)), self._spots(piece)

    def _spots(self, numbers: Int64[np.ndarray, " n"]) -> list[Spot]:
        which = np.searchsorted(self._ends, numbers, side="right")
        rows = numbers - np.concatenate([[0], self._ends])[which]
        return [(*self.batches[w][:2], row) for w, row in zip(which.tolist(), rows.tolist(), strict=True)]


def _light(batch: pa.RecordBatch, about: ArrowColumns) -> pa.Table:
    """A batch without its pictures' bytes, but with their sizes; nothing is copied."""
    whole = pa.Table.from_batches([batch])
    names = list(dict.fromkeys(name.partition(".")[0] for name in about.light()))
    light = whole.select([name for name in names if name != about.columns.image])
    if about.path:
        path = _inside(whole, about.path)
        light = light.append_column(about.columns.image, path)
    sizes = pc.binary_length(_inside(whole, about.content)) if about.content else pa.nulls(len(batch))
    return light.append_column(_SIZE, pc.cast(sizes, pa.int64()))


def _inside(table: pa.Table, name: str) -> pa.ChunkedArray:
    top, *inner = name.split(".")
    column = table.column(top)
    return pc.struct_field(column, inner) if inner else column


def _files(folder: Path, kind: str) -> list[Path]:
    """The files that `state.json` names, all of them there."""
    state = _json(folder / _STATE)
    try:
        files = [folder / entry["filename"] for entry in state.get(kind) or []]
    except (AttributeError, TypeError, KeyError) as error:
        raise _odd(folder / _STATE) from error
    if not files and kind == "_data_files":
        raise _odd(folder / _STATE)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise SightwordError(
            f"'{missing[0]}', which '{folder / _STATE}' names, is missing; save the data again"
        )
    return files


def _names(content: Any, file: Path) -> list[str]:
    names = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _odd(file)
    return names


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _odd(file) from error


def _odd(file: Path) -> SightwordError:
    return SightwordError(f"'{file}' is not what save_to_disk writes; save the data set again")
