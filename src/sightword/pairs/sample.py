"""One pair, with its picture or without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Text:
    """What is written about a picture, read without the picture."""

    key: str
    captions: tuple[str, ...]  # every caption; empty for a picture without words
    fields: Mapping[str, Any]  # what else is known of it: a shard's `.json`

    @property
    def caption(self) -> str:
        """The first caption, or nothing."""
        return self.captions[0] if self.captions else ""


@dataclass(frozen=True)
class Sample(Text):
    """One picture with what is written about it, as stored."""

    image: bytes = b""  # encoded: JPEG, PNG, WebP, ...
