"""Pairs into webdataset shards: the same samples give the same bytes, on any machine at any time."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from sightword.errors import SightwordError
from sightword.pairs.files import write_whole
from sightword.pairs.sample import Sample

PER_SHARD = 10_000  # img2dataset's habit
_KINDS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"P6", "ppm"),
    (b"P5", "ppm"),
)


def shard_name(number: int, shards: int = 0) -> str:
    """`00000.tar`, as img2dataset; longer for more than 100,000 shards, so that names sort as numbers do."""
    return f"{number:0{max(5, len(str(shards - 1)))}d}.tar"


def write_shard(path: Path, samples: Iterable[Sample]) -> int:
    """Write samples to a tar, aside and then renamed into place, in the order in which they come.

    Each becomes `KEY.EXTENSION`, `KEY.txt` with its first caption if it has one, and `KEY.json` with its
    fields (and all its captions where it has several).

    Returns:
        how many were written.

    Raises:
        SightwordError: two samples have one key, or a key holds a dot or cannot be a file name.
        OSError: the disk is full or cannot be written; `path` is as it was.
    """
    count = 0

    def write(file: BinaryIO) -> None:
        nonlocal count
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            seen = set[str]()
            for sample in samples:
                _check(sample.key, seen)
                for name, content in members(sample):
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = len(content), 0o644
                    tar.addfile(entry, io.BytesIO(content))
                count += 1

    write_whole(path, write)
    return count


def members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a sample."""
    yield f"{sample.key}.{extension(sample.image)}", sample.image
    if sample.captions:
        yield f"{sample.key}.txt", sample.caption.encode()
    fields = dict(sample.fields)
    if len(sample.captions) > 1:
        fields["captions"] = list(sample.captions)
    if fields:
        yield f"{sample.key}.json", json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()


def extension(image: bytes) -> str:
    """By what a file is, whatever it was called; `jpg` when nobody knows, for a reader to judge."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "webp"
    if image[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    return next((name for start, name in _KINDS if image.startswith(start)), "jpg")


def _check(key: str, seen: set[str]) -> None:
    name = key.rpartition("/")[2]
    if not name or "." in name or "\0" in key or key.startswith("/"):
        raise SightwordError(
            f"'{key}' cannot be the key of a sample: it ends in nothing, or has a dot in its file name,"
            " which ends a key in webdataset; give another"
        )
    if key in seen:
        raise SightwordError(f"two samples of one shard have the key '{key}'; give each its own")
    seen.add(key)
