"""Pairs in Parquet files: paths of pictures, or the pictures themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.lists.arrow_rows import ArrowColumns, arrow_columns, arrow_rows
from sightword.pairs.lists.listed import Stamp, open_listed
from sightword.pairs.lists.listing import BLOCK_BYTES, Wanted
from sightword.pairs.lists.pictures import DECODED
from sightword.pairs.lists.rows import Row
from sightword.pairs.lists.splits import choose_split, split_of
from sightword.pairs.lists.table_files import check_there, table_files
from sightword.pairs.reading import Reading

_SUFFIXES = (".parquet", ".pq")
_METADATA = ("metadata.csv", "metadata.jsonl")  # a folder of pictures that says its captions itself
_MIB = 1 << 20
_UNREADABLE = (OSError, pa.ArrowException, KeyError, IndexError)


def open_here(part: str, split: str, reading: Reading) -> Pairs | None:
    """Open a Parquet file, several that a pattern names, or a folder of them.

    Where file names tell of splits (`train-00000-of-00005.parquet`), they choose the files.

    Raises:
        SightwordError: a file is damaged, a column is missing, no row is left, or no picture is there.
    """
    files = _files(part)
    if files is None:
        return None
    chosen, left, note = _of_split(files, split, part)
    wanted = Wanted(part, left, reading.captionless)
    wanted.note(note)
    wanted.expected = sum(_metadata(file).num_rows for file in chosen)
    root = os.path.abspath(reading.image_root) if reading.image_root else ""
    stamp = Stamp.of(chosen, "parquet", reading.image_key, reading.caption_key, root)
    pairs = open_listed(rows_of(chosen, reading, wanted), stamp, wanted)
    check_there(pairs, reading)
    return pairs


def rows_of(files: Sequence[Path], reading: Reading, wanted: Wanted) -> Iterator[Row]:
    """The rows of Parquet files, one row group after the other; pictures' bytes are not read.

    Raises:
        SightwordError: a file is damaged, or a column is missing.
    """
    largest = 0
    for file in files:
        try:
            with pq.ParquetFile(file, memory_map=True) as opened:
                about = arrow_columns(opened.schema_arrow, reading, str(file))
                wanted.note(*about.columns.notes)
                for group in range(opened.num_row_groups):
                    light = opened.read_row_group(group, columns=about.light(), use_threads=False)
                    largest = max(largest, _bytes_of(opened.metadata.row_group(group), about.content))
                    sizes = _sizes(opened, group, about)
                    spots = [(str(file.absolute()), group, row) for row in range(len(sizes))]
                    yield from arrow_rows(light, sizes, spots, about, wanted.left_out)
        except _UNREADABLE as error:
            raise _damaged(file, error) from error
    if largest > BLOCK_BYTES:
        wanted.note(
            f"row groups hold up to {largest // _MIB:,} MiB of pictures each, which are"
            f" decoded whole, and a process keeps {DECODED // _MIB} MiB of them: reading at random is slow;"
            " sightword data pack makes shards that are fast"
        )


def _files(part: str) -> list[Path] | None:
    folder = Path(os.path.expanduser(part))
    if not folder.is_dir():
        return table_files(part, _SUFFIXES)
    if any(folder.glob("*.tar")) or any((folder / name).exists() for name in _METADATA):
        return None
    found = (path for suffix in _SUFFIXES for path in folder.rglob(f"*{suffix}"))
    return sorted(path for path in found if path.is_file() and not _aside(path, folder)) or None


def _aside(path: Path, folder: Path) -> bool:
    """Whether a file is hidden, or tells of the shard beside it, as img2dataset's do."""
    hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)
    return hidden or path.with_suffix(".tar").exists()


def _of_split(files: list[Path], split: str, part: str) -> tuple[list[Path], str, str]:
    """The files of a split, the split that is left for a column to tell, and a note."""
    start = os.path.commonpath([str(file.parent) for file in files])
    splits = [split_of(os.path.relpath(file, start)) for file in files]
    if not all(splits) or (len(files) == 1 and split and split not in splits):
        return files, split, ""
    chosen, note = choose_split(splits, split, part)
    return [file for file, mine in zip(files, splits, strict=True) if mine == chosen], "", note


def _sizes(opened: pq.ParquetFile, group: int, about: ArrowColumns) -> list[int | None]:
    """The mean size of the pictures that a row group holds, None for rows that hold none.

    Its statistics mostly say that all or none are there; else the bytes themselves are looked at.
    """
    rows = opened.metadata.row_group(group).num_rows
    if not about.content:
        return [None] * rows
    nulls = _nulls(opened.metadata.row_group(group), about.content)
    if nulls == rows:
        return [None] * rows
    if nulls == 0:
        return [_bytes_of(opened.metadata.row_group(group), about.content) // max(1, rows)] * rows
    column = opened.read_row_group(group, columns=[about.content], use_threads=False).column(0)
    for name in about.content.split(".")[1:]:
        column = pc.struct_field(column, name)
    sizes: list[int | None] = pc.binary_length(column).to_pylist()
    return sizes


def _nulls(group: pq.RowGroupMetaData, name: str) -> int:
    """How many values of a column are null; -1 when the file does not say."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == name and column.is_stats_set and column.statistics.has_null_count:
            return int(column.statistics.null_count)
    return -1


def _bytes_of(group: pq.RowGroupMetaData, name: str) -> int:
    """What a column takes when it is decoded."""
    columns = map(group.column, range(group.num_columns))
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == name)


def _metadata(file: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(file)
    except _UNREADABLE as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> SightwordError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return SightwordError(f"'{file}' is no whole Parquet file ({first}); fetch or write it again")
