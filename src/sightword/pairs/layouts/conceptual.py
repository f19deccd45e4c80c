"""Conceptual Captions: CC3M and CC12M, by SLIP's arrays or by the published tables.

    cc3m.npy     an array of {"image_id": PATH, "captions": [...]}; paths start from the folder
    cc12m.npy    the same with "image_name"

    Train_GCC-training.tsv                 caption, address      training/NUMBER
    Validation_GCC-1.1.0-Validation.tsv    caption, address      validation/NUMBER
    cc12m.tsv                              address, caption      images/NUMBER

The tables name addresses, not files. NUMBER is the CRC-32 of the address, by which the common downloader
(igorbrigadir/DownloadConceptualCaptions) names pictures, with or without an extension; any other naming, such
as by line, cannot be checked and is not guessed. Where two addresses have one number nobody knows which of
them was kept: both are left out. img2dataset's shards need no layout.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sightword.pairs.layouts.layout import TRAIN, Found, PictureFiles, existing, folders_in, unlike
from sightword.pairs.lists.lines import text_lines
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import InFile, Row
from sightword.pairs.pickled.rows import stored_rows


@dataclass(frozen=True)
class _Table:
    """A published table and the folder of its pictures."""

    file: Path
    split: str
    folder: Path
    address: int  # column


def find_cc3m(folder: Path, root: Path) -> Found:
    """CC3M.

    Raises:
        SightwordError: neither SLIP's array nor a published table with its folder is there.
    """
    stored = existing(folder, "cc3m.npy")
    if stored:
        return Found(partial(_stored, stored, "image_id", root), [stored, *folders_in(root)])
    tables = [
        _Table(file, split, root / name, 1)
        for split, name, pattern in (
            (TRAIN, "training", "*GCC-training.tsv"),
            ("val", "validation", "*GCC-1.1.0-Validation.tsv"),
        )
        if (file := existing(folder, pattern))
    ]
    return _published("cc3m", folder, tables, "cc3m.npy, or Train_GCC-training.tsv and training/")


def find_cc12m(folder: Path, root: Path) -> Found:
    """CC12M; errors as `find_cc3m`."""
    stored = existing(folder, "cc12m.npy")
    if stored:
        return Found(partial(_stored, stored, "image_name", root), [stored, *folders_in(root)])
    file = existing(folder, "cc12m.tsv")
    tables = [_Table(file, TRAIN, root / "images", 0)] if file else []
    return _published("cc12m", folder, tables, "cc12m.npy, or cc12m.tsv and images/")


def _published(name: str, folder: Path, tables: list[_Table], wanted: str) -> Found:
    there = [table for table in tables if table.folder.is_dir()]
    if not there:
        raise unlike(name, folder, wanted)
    watched = [path for table in there for path in (table.file, table.folder)]
    return Found(partial(_rows, there), watched)


def _stored(file: Path, column: str, root: Path, wanted: Wanted) -> Iterator[Row]:
    pictures = PictureFiles(root)
    for entry in stored_rows(file):
        name = entry.get(column) if isinstance(entry, dict) else None
        captions = entry.get("captions") if isinstance(entry, dict) else None
        if not isinstance(name, str | int) or not isinstance(captions, list):
            wanted.left_out["bad_rows"] += 1
            continue
        path = pictures.path(str(name))
        if path is None:
            wanted.left_out["without_picture"] += 1
            continue
        said = tuple(caption for caption in captions if isinstance(caption, str))
        yield Row(os.path.splitext(str(name))[0], InFile(path), said, {"split": TRAIN})


def _rows(tables: list[_Table], wanted: Wanted) -> Iterator[Row]:
    for table in tables:
        shared = _shared_numbers(table)
        pictures = _by_number(table.folder)
        for address, caption in _lines(table, wanted):
            number = _number(address)
            name = pictures.get(number)
            if number in shared:
                wanted.left_out["duplicates"] += 1
            elif name is None:
                wanted.left_out["without_picture"] += 1
            else:
                path = os.path.join(table.folder, name)
                yield Row(
                    f"{table.split}/{number}",
                    InFile(path),
                    (caption,),
                    {"split": table.split, "url": address},
                )
        if pictures and shared:
            wanted.note(f"{len(shared):,} pictures may be of either of two addresses and are left out")


def _lines(table: _Table, wanted: Wanted | None = None) -> Iterator[tuple[str, str]]:
    """Address and caption of each line."""
    for line in text_lines(table.file):
        columns = line.rstrip("\r\n").split("\t")
        if len(columns) == 2:
            yield columns[table.address], columns[1 - table.address]
        elif wanted is not None:
            wanted.left_out["bad_rows"] += 1


def _number(address: str) -> int:
    return zlib.crc32(address.encode())


def _by_number(folder: Path) -> dict[int, str]:
    """Names of pictures by the number they begin with."""
    stems = ((name.partition(".")[0], name) for name in sorted(os.listdir(folder)))
    return {int(stem): name for stem, name in stems if stem.isascii() and stem.isdigit()}


def _shared_numbers(table: _Table) -> set[int]:
    """Numbers that more than one address of a table has."""
    numbers, marks = array("Q"), array("Q")
    for address, _ in _lines(table):
        numbers.append(_number(address))
        digest = hashlib.blake2b(address.encode(), digest_size=8).digest()
        marks.append(int.from_bytes(digest, "little"))
    pairs = np.unique(np.stack([np.frombuffer(numbers, np.uint64), np.frombuffer(marks, np.uint64)]), axis=1)
    same = pairs[0, 1:] == pairs[0, :-1]
    return {int(number) for number in pairs[0, 1:][same]}
