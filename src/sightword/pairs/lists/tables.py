"""Text tables of picture paths and captions: csv, tsv and JSON lines.

A row is a sample, as in open_clip: a picture that five rows name is five samples of one caption each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.lists.columns import (
    Columns,
    addresses,
    captions_in,
    choose_columns,
    is_address,
    path_in,
    picture_root,
)
from sightword.pairs.lists.keys import key_of
from sightword.pairs.lists.lines import records, separator_of, text_lines
from sightword.pairs.lists.listed import Stamp, open_listed
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import InFile, Row
from sightword.pairs.lists.table_files import check_there, table_files
from sightword.pairs.reading import Reading

_JSON = (".jsonl", ".ndjson", ".json")
_SUFFIXES = (".csv", ".tsv", *_JSON)
_HEAD = 100  # objects whose names are a table's columns
_WHOLE = 64 << 20  # bytes of a JSON array that is read at once
_SAMPLED = 1 << 20

_Record = Mapping[str, Any]


def open_here(part: str, split: str, reading: Reading) -> Pairs | None:
    """Open a csv, tsv or JSON-lines file, or several that a pattern names.

    Raises:
        SightwordError: a column is missing, the text is not UTF-8, no row is left, or no picture is there.
    """
    files = table_files(part, _SUFFIXES)
    if files is None:
        return None
    return open_files(files, reading, Wanted(part, split, reading.captionless))


def open_files(
    files: list[Path], reading: Reading, wanted: Wanted, rows: Iterator[Row] | None = None
) -> Pairs:
    """Open text tables by their files; see `open_here`. `rows`: those of `rows_of`, watched by somebody."""
    wanted.expected = sum(map(_lines_in, files))
    root = os.path.abspath(reading.image_root) if reading.image_root else ""
    how = (reading.image_key, reading.caption_key, reading.separator, root)
    pairs = open_listed(rows or rows_of(files, reading, wanted), Stamp.of(files, "table", *how), wanted)
    check_there(pairs, reading)
    return pairs


def rows_of(files: list[Path], reading: Reading, wanted: Wanted) -> Iterator[Row]:
    """The rows of text tables, one file after the other."""
    for file in files:
        table = _Table(file, reading, wanted)
        yield from table.rows()
        table.tell()


@dataclass
class _Table:
    """One file while it is read."""

    file: Path
    reading: Reading
    wanted: Wanted
    bad: list[str] = field(default_factory=list)  # the first of them
    bad_count: int = 0

    def rows(self) -> Iterator[Row]:
        found = self._objects() if self.file.suffix.lower() in _JSON else self._lines()
        columns, root = next(found), picture_root(str(self.file), self.reading)
        assert isinstance(columns, Columns)
        self.wanted.note(*columns.notes)
        first = True
        for record in found:
            assert not isinstance(record, Columns)
            path = path_in(record.get(columns.image))
            if first and is_address(path):
                raise addresses(str(self.file), f"such as '{path[:80]}'")
            first = False
            if not path or is_address(path):
                self.wanted.left_out["without_picture"] += 1
                continue
            yield _row(record, columns, path, root)

    def tell(self) -> None:
        """Note the lines that could not be read."""
        if self.bad_count:
            self.wanted.left_out["bad_rows"] += self.bad_count
            self.wanted.note(f"{self.bad_count:,} bad lines in '{self.file.name}': {'; '.join(self.bad)}")

    def _refuse(self, line: int, why: str) -> None:
        self.bad_count += 1
        if len(self.bad) < 3:
            self.bad.append(f"line {line} {why}")

    def _lines(self) -> Iterator[Columns | _Record]:
        """The columns, then the rows of a csv."""
        separator = separator_of(self.file, self.reading)
        found = records(self.file, separator, self._refuse)
        names = [name.strip() for name in next(found, [])]
        columns = choose_columns(names, self.reading, str(self.file))
        yield columns
        for values in found:
            yield {n: value for n, value in zip(names, values, strict=True) if value or n in columns.kept}

    def _objects(self) -> Iterator[Columns | _Record]:
        """The columns, then the objects of a JSON-lines file."""
        found = self._parsed()
        head = list(islice(found, _HEAD))
        names = dict.fromkeys(name for record in head for name in record)
        yield choose_columns(list(names), self.reading, str(self.file))
        yield from head
        yield from found

    def _parsed(self) -> Iterator[_Record]:
        lines = text_lines(self.file)
        for number, line in enumerate(lines, 1):
            if number == 1 and line.lstrip().startswith("["):
                yield from self._array()
                return
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                if number == 1 and line.strip() == "{":
                    raise _one_object(self.file) from None
                self._refuse(number, "is not JSON")
                continue
            if isinstance(value, dict):
                yield value
            else:
                self._refuse(number, "is not a JSON object")

    def _array(self) -> Iterator[_Record]:
        if self.file.stat().st_size > _WHOLE:
            raise SightwordError(
                f"'{self.file}' is one large JSON array; write one object a line:"
                f" jq -c '.[]' '{self.file}' > rows.jsonl"
            )
        try:
            values = json.loads("".join(text_lines(self.file)))
        except (ValueError, RecursionError) as error:
            raise SightwordError(f"'{self.file}' is not JSON ({error}); write one object a line") from error
        for number, value in enumerate(values, 1):
            if isinstance(value, dict):
                yield value
            else:
                self._refuse(number, "(entry of the array) is not a JSON object")


def _row(record: _Record, columns: Columns, path: str, root: str) -> Row:
    captions = tuple(chain.from_iterable(captions_in(record.get(name)) for name in columns.captions))
    given = record.get(columns.key) if columns.key else None
    key = str(given) if isinstance(given, str | int) else key_of(path, root)
    fields = {name: value for name, value in record.items() if name not in columns.spoken}
    return Row(key, InFile(os.path.join(root, path)), captions, fields)


def _one_object(file: Path) -> SightwordError:
    return SightwordError(
        f"'{file}' is one JSON object, not a row a line; write JSON lines, such as"
        ' {"filepath": "a.jpg", "title": "a dog"}'
    )


def _lines_in(file: Path) -> int:
    """About how many lines a file has, from its beginning."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        sampled = opened.read(_SAMPLED)
    return sampled.count(b"\n") * size // max(1, len(sampled))
