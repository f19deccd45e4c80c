"""Pictures of a few bytes, each of its own colour and size."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image


def picture(number: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8 + number % 5, 9), (number * 37 % 256, 80, 160)).save(buffer, kind)
    return buffer.getvalue()


def save(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(number, "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG"))
    return path
