"""A small webdataset shard: squares of one colour on another, and captions that say so."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "yellow": (240, 220, 40)}


def picture(index: int, size: int = 40) -> tuple[bytes, str]:
    """A PNG and its caption."""
    names = list(COLOURS)
    inner, outer = names[index % 4], names[(index // 4 + 1 + index) % 4]
    image = Image.new("RGB", (size, size), COLOURS[outer])
    place = 4 + index % 12
    image.paste(COLOURS[inner], (place, place, place + size // 2, place + size // 2))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue(), f"a {inner} square on {outer}"


def small_shard(path: Path, count: int) -> Path:
    """`count` pairs in a tar."""
    members = {}
    for index in range(count):
        members[f"{index:04}.png"], caption = picture(index)
        members[f"{index:04}.txt"] = caption.encode()
    return write_tar(path, members)


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """These files in a tar, in this order."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
