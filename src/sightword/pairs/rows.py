"""Floor 3. A pair as a list describes it: where its picture lies, and what is said of it."""

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


Picture: TypeAlias = InFile | InZip | Inline


@dataclass(frozen=True)
class Row:
    """One pair of a list."""

    key: str
    picture: Picture
    captions: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
