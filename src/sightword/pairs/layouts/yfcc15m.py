"""YFCC15M: the part of Flickr's YFCC100M whose titles or descriptions are English, as SLIP reads it.

    images/12/345.zip              with 678.jpg inside: the picture of line 12345678 of YFCC100M's table
    yfcc15m.pkl                    SLIP's list of (line, title, description), cleaned already
or, in place of that list, what SLIP makes it from:
    yfcc100m_dataset.txt           YFCC100M's table, lines numbered in its first column
    yfcc100m_subset_data.tsv       OpenAI's list of (line, photo, hash)

(either table may still be packed as .bz2). Title and description are the captions, and stay apart as fields
for the policy `title-or-description`. A pair of which nothing is left after cleaning is left out and counted;
SLIP trains on it with an empty caption.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sightword.pairs.layouts.layout import TRAIN, Found, existing, folders_in, unlike
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import InZip, Row
from sightword.pairs.pickled.rows import stored_rows
from sightword.pairs.words.titles import clean_title

_TABLE = ("yfcc100m_dataset.txt", "yfcc100m_dataset", "yfcc100m_dataset.txt.bz2", "yfcc100m_dataset.bz2")
_SUBSET = ("yfcc100m_subset_data.tsv", "yfcc100m_subset_data.tsv.bz2")
_LINES = 100_000_000  # of YFCC100M's table
_PAIRS = 14_829_396  # of OpenAI's list
_TITLE, _DESCRIPTION = 8, 9  # columns of YFCC100M's table

_Entry: TypeAlias = tuple[int, str, str]  # line, title, description


def find(folder: Path, root: Path) -> Found:
    """YFCC15M by SLIP's list or by the tables that it is made from.

    Raises:
        SightwordError: neither is there, or no folder `images`.
    """
    stored, table, subset = (existing(folder, *names) for names in (("yfcc15m.pkl",), _TABLE, _SUBSET))
    archives = root / "images"
    if not archives.is_dir() or not (stored or (table and subset)):
        wanted = "images/00/000.zip, and yfcc15m.pkl or yfcc100m_dataset.txt with yfcc100m_subset_data.tsv"
        raise unlike("yfcc15m", folder, wanted)
    if stored:
        return Found(partial(_rows_of_list, stored, archives), [stored, *folders_in(archives)])
    assert table is not None
    assert subset is not None
    return Found(partial(_rows_of_tables, table, subset, archives), [table, subset, *folders_in(archives)])


def _rows_of_list(stored: Path, archives: Path, wanted: Wanted) -> Iterator[Row]:
    return _rows(_listed(stored, wanted), archives, wanted)


def _rows_of_tables(table: Path, subset: Path, archives: Path, wanted: Wanted) -> Iterator[Row]:
    return _rows(_tabled(table, subset, wanted), archives, wanted)


def _rows(entries: Iterable[_Entry], archives: Path, wanted: Wanted) -> Iterator[Row]:
    """Which members the archives hold is found out by whoever lists these rows."""
    wanted.expected = _PAIRS
    for line, title, description in entries:
        number = f"{line:08d}"
        picture = InZip(f"{archives}/{number[:2]}/{number[2:5]}.zip", f"{number[5:]}.jpg")
        fields = {"split": TRAIN, "title": title, "description": description}
        yield Row(number, picture, (title, description), fields)


def _listed(stored: Path, wanted: Wanted) -> Iterator[_Entry]:
    for entry in stored_rows(stored):
        match entry:
            case (int() as line, str() as title, str() as description) if 0 <= line < _LINES:
                yield line, title, description
            case _:
                wanted.left_out["bad_rows"] += 1


def _tabled(table: Path, subset: Path, wanted: Wanted) -> Iterator[_Entry]:
    """The lines of the table that the subset names, their titles and descriptions cleaned."""
    chosen = np.zeros(_LINES, dtype=bool)
    for line in _packed_lines(subset):
        number = _number(line.split(b"\t", 1)[0])
        if number is None:
            wanted.left_out["bad_rows"] += 1
        else:
            chosen[number] = True
    for line in _packed_lines(table):
        number = _number(line[: line.find(b"\t")])
        if number is None or not chosen[number]:
            wanted.left_out["bad_rows"] += number is None
            continue
        columns = line.rstrip(b"\r\n").decode(errors="replace").split("\t")
        if len(columns) <= _DESCRIPTION:
            wanted.left_out["bad_rows"] += 1
            continue
        yield number, clean_title(columns[_TITLE]), clean_title(columns[_DESCRIPTION])


def _number(digits: bytes) -> int | None:
    number = int(digits) if digits.isdigit() else _LINES
    return number if number < _LINES else None


def _packed_lines(file: Path) -> Iterator[bytes]:
    with bz2.open(file) if file.suffix == ".bz2" else file.open("rb") as lines:
        yield from lines
