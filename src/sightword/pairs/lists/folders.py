"""Folders of pictures with captions beside them: `x.jpg` and `x.txt` or `x.json`, in any depth.

Or with one table for all, as Hugging Face's image folders have it: `metadata.csv` or `metadata.jsonl` with a
column `file_name`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.lists.columns import captions_in, usual_caption
from sightword.pairs.lists.listed import Stamp, open_listed
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import InFile, Row
from sightword.pairs.lists.splits import choose_split, split_of
from sightword.pairs.lists.tables import open_files
from sightword.pairs.lists.tables import rows_of as table_rows
from sightword.pairs.reading import Reading
from sightword.pairs.tars.walk import PICTURES, decode_caption

_METADATA = ("metadata.csv", "metadata.jsonl")
_CAPTIONS = frozenset({"txt", "json"})
_BESIDE = (
    "put the caption of x.jpg into x.txt beside it, or those of all pictures into a metadata.csv with the"
    " columns file_name and text"
)


def open_here(part: str, split: str, reading: Reading) -> Pairs | None:
    """Open a folder of pictures. Folders called train, test, val are splits where there is nothing beside.

    Raises:
        SightwordError: no picture has a caption (unless pictures alone are wanted), or one is not UTF-8.
    """
    folder = Path(os.path.expanduser(part))
    if not folder.is_dir() or any(folder.glob("*.tar")):
        return None
    chosen, left, note = _of_split(folder, split, part)
    tables = [chosen / name for name in _METADATA if (chosen / name).is_file()]
    if not tables and not _looks_like_pairs(chosen, part, reading):
        return None
    wanted = Wanted(part, left, reading.captionless, hint=_BESIDE)
    wanted.note(note)
    if not tables:
        return open_listed(rows_of(chosen, reading, wanted), _stamp(chosen, reading), wanted)
    named = reading.image_key if reading.image_key != Reading().image_key else "file_name"
    reading = replace(reading, image_key=named)
    rows = _count_others(table_rows(tables[:1], reading, wanted), chosen, wanted)
    return open_files(tables[:1], reading, wanted, rows)


def _looks_like_pairs(folder: Path, part: str, reading: Reading) -> bool:
    """Whether there are pictures; a folder of classes is told so before it is listed."""
    pictures = 0
    for found in _walk(folder, Counter()):
        pictures += len(found.pictures)
        if found.pictures and (reading.captionless or found.pictures.keys() & found.captions.keys()):
            return True
    if pictures:
        raise SightwordError(f"'{part}' holds {pictures:,} pictures and no caption of any; {_BESIDE}")
    return False


def rows_of(folder: Path, reading: Reading, wanted: Wanted) -> Iterator[Row]:
    """The pictures of a folder and of those in it, by name.

    Raises:
        SightwordError: a caption is not UTF-8.
    """
    left_out = wanted.left_out
    for found in _walk(folder, left_out):
        left_out["without_picture"] += len(found.captions.keys() - found.pictures.keys())
        for stem, picture in found.pictures.items():
            captions, fields = tuple[str, ...](), dict[str, Any]()
            try:
                for name in found.captions.get(stem, ()):
                    more, fields_too = _said(os.path.join(found.folder, name), reading)
                    captions, fields = (*captions, *more), fields | fields_too
            except ValueError:
                left_out["bad_json"] += 1
                continue
            key = os.path.join(found.relative, stem)
            path = os.path.abspath(os.path.join(found.folder, picture))
            yield Row(key, InFile(path), tuple(dict.fromkeys(captions)), fields)


def _count_others(rows: Iterator[Row], folder: Path, wanted: Wanted) -> Iterator[Row]:
    """The same rows; afterwards the pictures that no row names are counted."""
    named = 0
    for row in rows:
        named += 1
        yield row
    there = sum(len(found.pictures) for found in _walk(folder, Counter()))
    wanted.left_out["without_caption"] += max(0, there - named)


@dataclass
class _Found:
    """What one folder holds, by file names without their extensions."""

    folder: str
    relative: str
    pictures: dict[str, str] = field(default_factory=dict)
    captions: dict[str, list[str]] = field(default_factory=dict)  # .txt before .json


def _walk(top: Path, left_out: Counter[str]) -> Iterator[_Found]:
    """Each folder once, however links lead to it; names in order."""
    waiting, seen = [""], set[tuple[int, int]]()
    while waiting:
        relative = waiting.pop()
        folder = os.path.join(top, relative)
        stat = os.stat(folder)
        if (stat.st_dev, stat.st_ino) in seen:
            left_out["links"] += 1
            continue
        seen.add((stat.st_dev, stat.st_ino))
        found, inside = _Found(folder, relative), []
        for entry in _entries(folder):
            if entry.name.startswith("."):
                left_out["ignored"] += 1
            elif entry.is_dir():
                inside.append(os.path.join(relative, entry.name))
            elif not _file_away(entry, found, left_out):
                left_out["links" if entry.is_symlink() and not entry.is_file() else "ignored"] += 1
        yield found
        waiting += reversed(inside)


def _file_away(entry: os.DirEntry[str], found: _Found, left_out: Counter[str]) -> bool:
    stem, _, extension = entry.name.rpartition(".")
    kind = extension.lower()
    if not stem or not entry.is_file() or kind not in PICTURES | _CAPTIONS:
        return False
    if kind in _CAPTIONS:
        names = found.captions.setdefault(stem, [])
        names.insert(0 if kind == "txt" else len(names), entry.name)
    elif stem in found.pictures:
        left_out["duplicates"] += 1
    else:
        found.pictures[stem] = entry.name
    return True


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise SightwordError(
            f"cannot read the folder '{folder}': {error.strerror}; check its rights"
        ) from error


def _said(file: str, reading: Reading) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What a caption file says: a text, or a JSON object's caption and its other fields.

    Raises:
        ValueError: it is no JSON object.
        SightwordError: it is not UTF-8.
    """
    try:
        text = decode_caption(Path(file).read_bytes(), file)
    except OSError as error:
        raise SightwordError(f"cannot read '{file}': {error.strerror}; check its rights") from error
    if not file.lower().endswith(".json"):
        return (text.strip(),), {}
    try:
        fields = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    names = usual_caption(list(fields), reading)
    captions = tuple(caption for name in names for caption in captions_in(fields[name]))
    return captions, {name: value for name, value in fields.items() if name not in names}


def _of_split(folder: Path, split: str, part: str) -> tuple[Path, str, str]:
    """The folder of a split where all there is are such folders, else the folder itself."""
    entries = [entry for entry in _entries(str(folder)) if not entry.name.startswith(".")]
    splits = [entry.name for entry in entries if entry.is_dir() and split_of(f"{entry.name}/")]
    aside = [entry for entry in entries if entry.name not in splits and _counts(entry)]
    if not splits or aside:
        return folder, split, ""
    name, note = choose_split(splits, split, part)
    return folder / name, "", note


def _counts(entry: os.DirEntry[str]) -> bool:
    """Whether this is more than a README beside the folders of splits."""
    return entry.is_dir() or entry.name in _METADATA or entry.name.rpartition(".")[2].lower() in PICTURES


def _stamp(folder: Path, reading: Reading) -> Stamp:
    """Names of all files, and sizes and times of the captions: a million take some seconds each time, but a
    caption that was changed is never missed."""
    content = hashlib.blake2b(digest_size=16)
    for found in _walk(folder, Counter()):
        names = [found.relative, *found.pictures.values()]
        for name in (name for names in found.captions.values() for name in names):
            stat = os.stat(os.path.join(found.folder, name))
            names.append(f"{name} {stat.st_size} {stat.st_mtime_ns}")
        content.update("\0".join(names).encode(errors="surrogateescape") + b"\n")
    return Stamp.of([folder], "folder", reading.caption_key).of_content(content.hexdigest())
