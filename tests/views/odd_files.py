"""Odd files, made by hand where no encoder makes them: what Pillow cannot write, and what claims too much."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from photos import photo
from PIL import Image

PHOTO = photo(48, 64, 0)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colours: int, rows: bytes, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(more)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def png_of_16_bits(levels: np.ndarray) -> bytes:
    """RGB of 16 bits a channel, which Pillow does not write."""
    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return png(width, height, 16, 2, rows)


def claiming(kind: str, width: int, height: int) -> bytes:
    """A small file that says it is so large."""
    small = Image.fromarray(PHOTO)
    if kind == "PNG":
        return png(width, height, 8, 2, bytes(1000))
    if kind == "JPEG":
        data = encoded(small, "JPEG")
        at = data.index(b"\xff\xc0")
        return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]
    if kind == "GIF":
        data = encoded(small, "GIF")
        at = data.index(b",\0\0\0\0")
        sides = struct.pack("<HH", width, height)
        return data[:6] + sides + data[10 : at + 5] + sides + data[at + 9 :]
    if kind == "WEBP":
        data = encoded(small, "WEBP")
        at = data.index(b"\x9d\x01\x2a") + 3
        return data[:at] + struct.pack("<HH", width, height) + data[at + 4 :]
    data = encoded(small, "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def ycck(image: Image.Image) -> bytes:
    """A CMYK JPEG whose Adobe marker says that its first three are YCC."""
    data = encoded(image.convert("CMYK"), "JPEG", quality=95)
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def many_scans(width: int, height: int, times: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encoded(Image.new("L", (width, height), 128), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * times + data[-2:]


def turned(kind: str, orientation: int) -> bytes:
    """A picture that no two orientations show alike."""
    corner = np.full((16, 32, 3), 255, dtype=np.uint8)
    corner[:8, :8] = (200, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(corner), kind, exif=exif)
