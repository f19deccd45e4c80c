"""Rows written down once, as an Arrow file of blocks that is mapped into memory ever after."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, final

import pyarrow as pa
from jaxtyping import Int64
from numpy import ndarray

from sightword.errors import SightwordError, unknown
from sightword.pairs.files import cache_dir, write_to_cache
from sightword.pairs.lists.bar import counted
from sightword.pairs.lists.keys import Repeats, numbered, sound
from sightword.pairs.lists.pictures import Kind, Latest, Span, UnreadableError, spans_of
from sightword.pairs.lists.rows import InFile, Inline, InTable, InZip, Picture, Row
from sightword.pairs.tars.contents import IndexReport

BLOCK_ROWS = 10_000
BLOCK_BYTES = 64 << 20  # eight blocks, a usual window, fit into what a process keeps decoded
_TAIL = 256
_MOST_NOTES = 5
_FACTS = b"sightword"
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("captions", pa.list_(pa.string())),
        ("fields", pa.string()),  # a JSON object; empty for none
        ("kind", pa.uint8()),
        ("path", pa.binary()),  # FILE: names need not be text
        ("place", pa.int32()),  # ZIP and TABLE: which of the places
        ("spot", pa.list_(pa.int64())),  # ZIP: a `Span`; TABLE: group, row
        ("content", pa.binary()),  # INLINE
    ]
)


@dataclass(frozen=True)
class Facts:
    """What is known of a list as a whole."""

    stamp: str
    digest: str  # of keys, captions, fields, and of what is cheaply known of the pictures
    counts: Sequence[int]  # rows in each block
    places: Sequence[Sequence[str]]  # archives and tables, each with the column that holds pictures
    report: dict[str, int]
    notes: Sequence[str]

    def packed(self) -> dict[bytes, bytes]:
        """As the metadata of a file's schema."""
        return {_FACTS: json.dumps(dataclasses.asdict(self)).encode()}

    @classmethod
    def unpacked(cls, schema: pa.Schema) -> Facts:
        """What `packed` packed.

        Raises:
            ValueError, KeyError, TypeError: this is not such a file.
        """
        return cls(**json.loads((schema.metadata or {})[_FACTS]))


@dataclass
class Wanted:
    """Which rows a list takes, and what to call it.

    Args:
        name: what the user called the source.
        split: only rows whose field `split` says so; all when empty.
        captionless: whether rows without captions are wanted as well.
        left_out: what whoever makes the rows left out, by the names of `IndexReport`'s fields. Read when
            the rows have come to an end.
        notes: what a user should know of how the rows were made; read at the end as well.
        expected: about how many rows will come; 0: unknown.
        hint: what to do when no row is left.
    """

    name: str
    split: str = ""
    captionless: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    expected: int = 0
    hint: str = "a pair is a picture and a caption"

    def note(self, *texts: str) -> None:
        """Say something to the user, once."""
        for text in texts:
            if text and (said := f"'{self.name}': {text}") not in self.notes:
                self.notes.append(said)


def write_list(name: str, rows: Iterable[Row], wanted: Wanted, stamp: str) -> Path:
    """Write rows to a file in the cache folder; see `listed.open_listed`.

    Rows are written aside first: only when all are known is it known which keys come twice.
    """
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_dir()) as aside:
            listing = _Listing(wanted)
            listing.write(aside, rows)
            facts, numbers = listing.facts(stamp), listing.repeats.numbers()
            aside.seek(0)
            return write_to_cache(name, lambda file: _finish(aside, file, facts, numbers))
    except OSError as error:
        raise SightwordError(
            f"cannot list '{wanted.name}' in '{cache_dir()}' ({error}); set SIGHTWORD_CACHE to a folder with"
            " free space"
        ) from error


def _finish(aside: BinaryIO, file: BinaryIO, facts: Facts, numbers: Int64[ndarray, " n"]) -> None:
    schema = SCHEMA.with_metadata(facts.packed())
    position = 0
    with pa.ipc.open_file(aside) as reader, pa.ipc.new_file(file, schema) as writer:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            mine = numbers[position : position + len(batch)]
            position += len(batch)
            if mine.any():
                keys = zip(batch.column("key").to_pylist(), mine.tolist(), strict=True)
                batch = batch.set_column(0, SCHEMA.field(0), pa.array([numbered(*key) for key in keys]))
            writer.write_batch(batch)


@final
class _Listing:
    """The blocks of a list, while they are made."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.repeats = Repeats()
        self.counts: list[int] = []
        self._content = hashlib.blake2b(wanted.split.encode(), digest_size=16)
        self._places: dict[tuple[str, str], int] = {}
        self._archives = Latest[dict[str, Span]](4)
        self._unreadable: dict[str, str] = {}
        self._splits: set[str] = set()
        self._seen = 0

    def write(self, file: BinaryIO, rows: Iterable[Row]) -> None:
        with pa.ipc.new_file(file, SCHEMA) as writer:
            for block in self._blocks(rows):
                columns = list(map(list, zip(*block, strict=True)))
                marks = columns.pop()
                self._content.update(json.dumps([*columns[:3], marks]).encode())
                writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
                self.counts.append(len(block))
        if not self.counts:
            raise self._empty()

    def facts(self, stamp: str) -> Facts:
        fields = [field.name for field in dataclasses.fields(IndexReport) if field.name != "samples"]
        left_out = self.wanted.left_out
        assert not left_out.keys() - set(fields), left_out
        report = {"samples": self._seen} | {name: left_out[name] for name in fields}
        places = [list(place) for place in self._places]
        notes = [*self.wanted.notes, *list(self._unreadable.values())[:_MOST_NOTES]]
        return Facts(stamp, self._content.hexdigest(), self.counts, places, report, notes)

    def _blocks(self, rows: Iterable[Row]) -> Iterator[list[tuple[Any, ...]]]:
        """Entries in blocks of `BLOCK_ROWS` or `BLOCK_BYTES`; a row group of Parquet is not cut."""
        block, size, group = list[tuple[Any, ...]](), 0, None
        for row in counted(rows, self.wanted.expected, self.wanted.name):
            entry = self._entry(row)
            if entry is None:
                continue
            before, group = group, _group(row.picture)
            full = len(block) >= BLOCK_ROWS or size >= BLOCK_BYTES
            if full and (group is None or group != before):
                yield block
                block, size = [], 0
            block.append(entry)
            size += _size(row.picture)
        if block:
            yield block

    def _entry(self, row: Row) -> tuple[Any, ...] | None:
        """A row as it is stored, and a mark of its picture; None when it is left out."""
        captions = [_sayable(caption) for caption in map(str.strip, row.captions) if caption]
        if not captions and not self.wanted.captionless:
            self.wanted.left_out["empty_captions" if row.captions else "without_caption"] += 1
            return None
        split = row.fields.get("split")
        if isinstance(split, str):
            self._splits.add(split)
        wanted = not self.wanted.split or split == self.wanted.split
        where = self._where(row.picture) if wanted else ()
        if where is None:
            self.wanted.left_out["without_picture"] += 1
            return None
        self._seen += 1
        if not wanted:
            return None
        key = sound(row.key)
        fields = _json(row.fields) if row.fields else ""
        self.repeats.add(key)
        return key, captions, fields, *where, _mark(row.picture, where)

    def _where(self, picture: Picture) -> tuple[Any, ...] | None:
        """Kind, path, place, spot and content."""
        if isinstance(picture, InFile):
            return Kind.FILE, os.fsencode(picture.path), None, None, None
        if isinstance(picture, Inline):
            return Kind.INLINE, None, None, None, picture.content
        if isinstance(picture, InTable):
            place = self._place(picture.path, picture.column)
            return Kind.TABLE, None, place, [picture.group, picture.row, 0, 0], None
        span = self._archive(picture.path).get(picture.member)
        return span and (Kind.ZIP, None, self._place(picture.path, ""), list(span), None)

    def _archive(self, path: str) -> dict[str, Span]:
        def read() -> dict[str, Span]:
            try:
                return spans_of(path)
            except UnreadableError as error:
                self._unreadable[path] = str(error)
                return {}

        return self._archives.get(path, read)

    def _place(self, path: str, column: str) -> int:
        return self._places.setdefault((path, column), len(self._places))

    def _empty(self) -> SightwordError:
        name, split, left_out = self.wanted.name, self.wanted.split, self.wanted.left_out
        if self._seen and self._splits:
            return unknown(f"split in '{name}':", split, self._splits)
        if self._seen:
            return SightwordError(f"no row of '{name}' has a 'split'; leave the split '{split}' out")
        counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in left_out.items() if count)
        why = next(iter(self._unreadable.values()), "")
        found = "; ".join(filter(None, (counts, why)))
        return SightwordError(f"'{name}' holds no pair{f' ({found})' if found else ''}; {self.wanted.hint}")


def _json(fields: Mapping[str, Any]) -> str:
    return _sayable(_ENCODER.encode(fields))


def _sayable(text: str) -> str:
    """Text without halves of surrogate pairs, which no file can hold."""
    return text.encode(errors="replace").decode() if not text.isascii() else text


def _group(picture: Picture) -> object:
    return (picture.path, picture.group) if isinstance(picture, InTable) else None


def _size(picture: Picture) -> int:
    if isinstance(picture, InTable):
        return picture.size
    return len(picture.content) if isinstance(picture, Inline) else 0


def _mark(picture: Picture, where: tuple[Any, ...]) -> str:
    """What tells a picture from another one without reading it, wherever it lies."""
    if isinstance(picture, InFile):
        return picture.path.rpartition("/")[2]
    if isinstance(picture, InZip):
        return f"{where[3][3]:08x}"
    if isinstance(picture, InTable):
        return str(picture.size)
    return hashlib.blake2b(picture.content[-_TAIL:], digest_size=8).hexdigest() + str(len(picture.content))
