"""A pair as a list describes it: where its picture lies, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class InFile:
    """A picture file of its own."""

    path: str


@dataclass(frozen=True)
class InZip:
    """A picture inside a zip archive."""

    path: str
    member: str


@dataclass(frozen=True)
class Inline:
    """A picture whose bytes the list itself holds."""

    content: bytes


@dataclass(frozen=True)
class InTable:
    """A picture whose bytes stand in a row of a Parquet or Arrow file."""

    path: str
    column: str  # with a dot into a struct: `image.bytes`
    group: int  # row group or record batch
    row: int  # inside that group
    size: int = 0  # encoded bytes, or their mean over the group; 0: unknown


Picture: TypeAlias = InFile | InZip | Inline | InTable


@dataclass(frozen=True)
class Row:
    """One pair of a list."""

    key: str
    picture: Picture
    captions: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
