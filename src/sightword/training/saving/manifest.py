"""The manifest of a checkpoint: size and SHA-256 of every file, by which a torn or altered one is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from sightword.pieces import index
from sightword.training.progress import Bar
from sightword.training.records import file_digest

FILE = "manifest.json"
STATE = "state.json"
_PIECE = 1 << 24  # bytes that are read at once
_LONG = 1 << 30  # bytes whose reading takes so long that it is shown


@dataclass(frozen=True)
class Row:
    """What one file must be."""

    bytes: int
    sha256: str


def row_of(file: Path) -> Row:
    """A file as it is."""
    return Row(file.stat().st_size, file_digest(file))


def write_manifest(folder: Path, rows: Mapping[str, Row]) -> None:
    """Write down what a checkpoint's files are."""
    (folder / FILE).write_text(_text({name: asdict(row) for name, row in rows.items()}), encoding="utf-8")


def fault(folder: Path, quiet: bool = False) -> str | None:
    """Why a checkpoint is not whole; None when every byte is as it was written.

    Args:
        folder: the checkpoint's.
        quiet: without a progress bar, where another one is on the screen.
    """
    rows = _rows(folder)
    if rows is None:
        return "it has no readable manifest"
    for name, row in rows.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != row.bytes:
            return f"{name} is missing or cut short"
    total = sum(row.bytes for row in rows.values())
    bar = None if quiet or total < _LONG else Bar(f"check {folder.name}", _pieces(rows))
    with bar or nullcontext():
        altered = (name for name, row in rows.items() if _digest(folder / name, bar) != row.sha256)
        first = next(altered, None)
    return None if first is None else f"{first} was altered"


def _rows(folder: Path) -> dict[str, Row] | None:
    """The manifest's content; None where it is not to the letter what `write_manifest` writes."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
        found = json.loads(text)
        if text != _text(found):
            return None
        rows = {name: Row(**row) for name, row in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    named = {name for name in rows if not index.is_rank_file(name)}
    sizes = all(type(row.bytes) is int for row in rows.values())
    return rows if sizes and named == {index.FILE, STATE} else None


def _text(rows: Mapping[str, Mapping[str, object]]) -> str:
    return json.dumps(rows, indent=1, sort_keys=True)


def _pieces(rows: Mapping[str, Row]) -> int:
    return sum(-(-row.bytes // _PIECE) for row in rows.values())


def _digest(file: Path, bar: Bar | None) -> str:
    whole = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            whole.update(piece)
            if bar:
                bar.advance()
    return whole.hexdigest()
