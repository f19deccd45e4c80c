"""Floor 3. One pair, with its picture or without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One picture with its caption, as stored."""

    key: str
    image: bytes  # encoded: JPEG, PNG, WebP, ...
    caption: str
    fields: Mapping[str, Any]  # the sample's `.json`; empty where there is none


@dataclass(frozen=True)
class Text:
    """What is written about a picture, read without the picture."""

    key: str
    caption: str
    fields: Mapping[str, Any]
