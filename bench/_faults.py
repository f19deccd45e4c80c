"""Small good shards, and every way to spoil them, with what is still good afterwards.

What is where in a shard is asked of `tarfile`, not of our own reader.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image

BLOCK = 512
SAMPLES = 10


@dataclass
class Spoiled:
    """A shard, and what must still come out of it.

    content: the file.
    good: picture and caption of each sample that nothing was done to.
    touched: keys of the other samples, of which anything may become.
    sidecar: how to spoil its index once that is written, or None.
    """

    content: bytes
    good: dict[str, tuple[bytes, str]]
    touched: set[str] = field(default_factory=set)
    sidecar: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True)
class Piece:
    """One file of a good shard: its first byte (headers before its own included), own header, data, end."""

    key: str
    start: int
    header: int
    data: int
    end: int


@dataclass(frozen=True)
class Good:
    """A whole shard."""

    content: bytes
    samples: dict[str, tuple[bytes, str]]
    pieces: list[Piece]

    def spoiled(self, content: bytes, *keys: str) -> Spoiled:
        """The shard with other content, in which these samples were touched."""
        kept = {key: sample for key, sample in self.samples.items() if key not in keys}
        return Spoiled(content, kept, set(keys))

    def without_bytes(self, content: bytes, first: int, last: int) -> Spoiled:
        """The shard whose bytes from `first` to `last` are no longer what they were."""
        keys = {piece.key for piece in self.pieces if piece.start < last and piece.end > first}
        return self.spoiled(content, *keys)


@cache
def pictures() -> list[tuple[str, bytes]]:
    """Small real pictures of many kinds, those of the demo among them: extension and file."""
    from sightword.pairs.sources import open_pairs

    rng, made = np.random.default_rng(0), list[tuple[str, bytes]]()
    for number in range(12):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        image = coarse.resize((24 + 5 * number, 40), Image.Resampling.BICUBIC)
        made += [
            ("jpg", stored(image, "JPEG", quality=80)),
            ("jpg", stored(image, "JPEG", quality=80, progressive=True, subsampling=0)),
            ("jpg", stored(image.convert("L"), "JPEG")),
            ("png", stored(image, "PNG")),
            ("png", stored(image.quantize(16), "PNG")),
            ("webp", stored(image, "WEBP", quality=70)),
            ("webp", stored(image, "WEBP", lossless=True)),
            ("gif", stored(image.quantize(32), "GIF")),
            ("bmp", stored(image, "BMP")),
        ]
    demo = open_pairs("demo")
    return made + [("png", demo[i].image) for i in range(0, 40, 4)]


def stored(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def good_shard(rng: np.random.Generator, prefix: str) -> Good:
    """Ten samples, one in three with a json; names and tar format vary."""
    files, samples = dict[str, bytes](), dict[str, tuple[bytes, str]]()
    folder = rng.choice(["", "a/", "long-folder-name/" * 8])
    for number in range(SAMPLES):
        kind, picture = pictures()[rng.integers(len(pictures()))]
        key, caption = f"{folder}{prefix}-{number:03}", f"a picture, n\u00famero {number} of {prefix}"
        files[f"{key}.{kind}"], files[f"{key}.txt"] = picture, caption.encode()
        if number % 3 == 0:
            files[f"{key}.json"] = json.dumps({"number": number, "license": "CC0"}).encode()
        samples[key] = picture, caption
    format = int(rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    content = tar_of([(info(name, len(data)), data) for name, data in files.items()], format)
    return Good(content, samples, pieces_of(content))


def info(name: str, size: int = 0, **more: object) -> tarfile.TarInfo:
    """A member's header."""
    made = tarfile.TarInfo(name)
    made.size = size
    for attribute, value in more.items():
        setattr(made, attribute, value)
    return made


def tar_of(
    members: list[tuple[tarfile.TarInfo, bytes]], format: int = tarfile.GNU_FORMAT, ended: bool = True
) -> bytes:
    """A tar, or its members alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, errors="surrogateescape") as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
        end = tar.offset
    return buffer.getvalue() if ended else buffer.getvalue()[:end]


def pieces_of(content: bytes) -> list[Piece]:
    """Where everything lies, by `tarfile`."""
    found = list[Piece]()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            folder, slash, name = member.name.rpartition("/")
            key = folder + slash + name.partition(".")[0]
            header = member.offset_data - BLOCK
            found.append(
                Piece(key, member.offset, header, member.offset_data, member.offset_data + member.size)
            )
    return found


def more(good: Good, members: list[tuple[tarfile.TarInfo, bytes]], where: int, format: int) -> bytes:
    """The shard with other members before its piece number `where`."""
    at = good.pieces[where].start
    return good.content[:at] + tar_of(members, format, ended=False) + good.content[at:]


def with_picture(good: Good, change: Callable[[bytes], bytes], key: str) -> Spoiled:
    """A well-formed shard in which one picture is another."""
    members = list[tuple[tarfile.TarInfo, bytes]]()
    with tarfile.open(fileobj=io.BytesIO(good.content)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            data = file.read() if file else b""
            if member.name.startswith(f"{key}.") and not member.name.endswith((".txt", ".json")):
                data = change(data)
            members.append((info(member.name, len(data)), data))
    return good.spoiled(tar_of(members), key)


def with_checksum(header: bytes) -> bytes:
    """A tar header that its reader believes."""
    total = sum(header[:148]) + 8 * 32 + sum(header[156:])
    return header[:148] + b"%06o\0 " % total + header[156:]


def hostile_sizes(file: bytes, sides: tuple[int, int]) -> bytes:
    """A picture whose header claims other sides, by the rules of its format."""
    width, height = sides
    if file.startswith(b"\x89PNG"):
        chunk = file[12:16] + struct.pack(">II", width, height) + file[24:29]
        return file[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + file[33:]
    if file.startswith(b"\xff\xd8"):
        for marker in (b"\xff\xc0", b"\xff\xc2"):
            at = file.find(marker)
            if at >= 0:
                return file[: at + 5] + struct.pack(">HH", height % 65536, width % 65536) + file[at + 9 :]
    if file.startswith(b"GIF8"):
        return file[:6] + struct.pack("<HH", width % 65536, height % 65536) + file[10:]
    if file.startswith(b"BM"):
        return file[:18] + struct.pack("<ii", width % 2**31, height % 2**31) + file[26:]
    at = file.find(b"VP8 ") + 14
    return file[:at] + struct.pack("<HH", width % 16384, height % 16384) + file[at + 4 :]
