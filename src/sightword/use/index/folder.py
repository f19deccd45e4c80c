"""The folder of an index: what is in it, written so that it is whole or as it was before.

`index.json` names the other files with their sizes and hashes, and is replaced last: until then the index is
the old one, and from then on the new one.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sightword.errors import SightwordError
from sightword.pairs.files import sweep, write_whole
from sightword.training.records import file_digest
from sightword.use.index import engine
from sightword.use.index.about import ABOUT, About, File, damaged, read_about
from sightword.use.index.engine import Engine

BAD = "unreadable.jsonl"
UNFINISHED = "unfinished"
_NAME = re.compile(r"(vectors|pictures)-[0-9a-f]{12}\.(faiss|parquet)")
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("path", pa.string()),  # where the picture is a file of its own
        ("caption", pa.string()),
        ("number", pa.int64()),  # of the pair in its source
        ("stamp", pa.string()),  # size and time of the file, or a hash of the picture's bytes
    ]
)


@dataclass(frozen=True, eq=False)
class Opened:
    """An index in memory: row `i` of `pictures` is vector `i` of `engine`."""

    about: About
    engine: Engine
    pictures: pa.Table


def is_new(folder: Path) -> bool:
    """Whether there is no index yet and one may be made here.

    Raises:
        SightwordError: something else lies here.
    """
    if (folder / ABOUT).is_file():
        return False
    if folder.is_dir():
        others = [
            one.name for one in folder.iterdir() if one.name != UNFINISHED and not one.name.startswith(".")
        ]
        if others:
            raise SightwordError(f"'{folder}' is no index and holds {others[0]}; give --out a new folder")
    elif folder.exists():
        raise SightwordError(f"'{folder}' is a file; give --out a new folder")
    return True


def open_index(folder: Path) -> Opened:
    """An index, after its files were found whole.

    Raises:
        SightwordError: it is none, one of its files is missing, cut short or changed, or faiss is not
            installed.
    """
    about = read_about(folder)
    engine.faiss()
    try:
        return _open(folder, about)
    except SightwordError:
        replaced = read_about(folder)  # somebody brought it up to date meanwhile: these files are gone
        if replaced == about:
            raise
        return _open(folder, replaced)


def _open(folder: Path, about: About) -> Opened:
    try:
        for file in (about.vectors, about.pictures):
            _check_size(folder, file)
        vectors = folder / about.vectors.name
        found = engine.read(
            vectors, about.kind, about.count, about.width, lambda: _check_hash(folder, about.vectors)
        )
        found.visit(about.visited)
        _check_hash(folder, about.pictures)
        pictures = pq.read_table(folder / about.pictures.name, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise damaged(folder, str(error)) from error
    if pictures.schema != SCHEMA or len(pictures) != about.count:
        raise damaged(folder, f"{about.pictures.name} does not list {about.count:,} pictures")
    return Opened(about, found, pictures)


def write_index(
    folder: Path,
    about: Callable[[File, File], About],
    vectors: Engine | File,
    pictures: pa.Table,
    bad: Iterable[tuple[str, str]],
) -> About:
    """Put an index into a folder, in place of what was there.

    Args:
        folder: made where it is not there.
        about: what to say of these two files.
        vectors: the engine, or the file that holds it already.
        pictures: a row for each vector.
        bad: key and reason of pictures that could not be read.

    Raises:
        SightwordError: the disk is full or refuses.
    """
    try:
        held = vectors if isinstance(vectors, File) else _put(folder, "vectors", "faiss", vectors.write)
        listed = _put(folder, "pictures", "parquet", lambda file: pq.write_table(pictures, file))
        lines = [json.dumps({"key": key, "reason": why}, ensure_ascii=False) + "\n" for key, why in bad]
        write_whole(folder / BAD, lambda file: file.write("".join(lines).encode(errors="replace")))
        made = about(held, listed)
        said = json.dumps(dataclasses.asdict(made), indent=1)
        write_whole(folder / ABOUT, lambda file: file.write(said.encode()))
    except OSError as error:
        raise SightwordError(
            f"cannot write the index '{folder}' ({error.strerror}); free some space and call this again:"
            " it goes on"
        ) from error
    _tidy(folder, {held.name, listed.name})
    return made


def _put(folder: Path, what: str, extension: str, write: Callable[[BinaryIO], object]) -> File:
    """Write a file under a name that says what is in it, so that no other version is ever overwritten."""
    aside = folder / f".{what}"
    write_whole(aside, write)
    digest = file_digest(aside)
    file = File(f"{what}-{digest[:12]}.{extension}", aside.stat().st_size, digest)
    aside.replace(folder / file.name)
    return file


def _tidy(folder: Path, held: set[str]) -> None:
    sweep(folder)
    for old in folder.iterdir():
        if _NAME.fullmatch(old.name) and old.name not in held:
            with suppress(OSError):
                old.unlink()


def _check_size(folder: Path, file: File) -> None:
    if not _NAME.fullmatch(file.name):
        raise damaged(folder, f"{ABOUT} names a file {file.name!r}")
    size = (folder / file.name).stat().st_size
    if size != file.bytes:
        raise damaged(folder, f"{file.name} has {size:,} bytes, and {file.bytes:,} were written")


def _check_hash(folder: Path, file: File) -> None:
    if file_digest(folder / file.name) != file.sha256:
        raise damaged(folder, f"{file.name} was changed since it was written")
