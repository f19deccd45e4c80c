"""From a tar to its index: a walk over its headers, and a look at captions, json and pictures' ends.

Members are grouped into samples as webdataset does: the key is the path up to the first dot of the file
name, the rest is the extension. A pair has one picture and one `.txt` caption that says something; a `.json`
object is optional. Whatever is left out is counted, in `IndexReport`; what is bad is named as well. Of a
damaged tar everything that can still be found is described.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np
from jaxtyping import UInt64

from sightword.errors import SightwordError
from sightword.pairs.tars.contents import Index, IndexReport
from sightword.pairs.tars.salvage import survey
from sightword.pairs.tars.tar import Member, Tar

PICTURES = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "ppm"})
Tick = Callable[[int], None]  # told of every few bytes of a tar that are done
_TAIL = 256  # a picture's last bytes are compressed data or checksums: they tell pictures apart cheaply
_OFTEN = 1 << 24  # bytes of a tar between two ticks


def build(tar: Tar, tick: Tick = lambda size: None) -> Index:
    """Describe a tar's samples.

    Args:
        tar: the tar.
        tick: told of bytes as they are done, in all as many as the tar has.

    Raises:
        SightwordError: the disk cannot read the tar.
    """
    try:
        return _built(tar, _Steady(tick, tar.stat.st_size))
    except OSError as error:
        raise SightwordError(
            f"cannot read '{tar.name}': {error.strerror or error}; copy it to another disk, or fetch it again"
        ) from error


def _built(tar: Tar, steady: _Steady) -> Index:
    found = _Found()
    groups, counts = _walked(tar, steady, found)
    for key, group in groups.items():
        reason = _describe(tar, key, group, found)
        if reason:
            counts[reason] += 1
        if group[0] is not None:
            steady.at(group[0].offset, half=1)
    steady.at(tar.stat.st_size, half=1)
    return found.index(counts)


def decode_caption(data: bytes, where: str) -> str:
    """A caption's text.

    Raises:
        SightwordError: it is not UTF-8. Leaving such captions out drops every caption with an accent and
            keeps the rest, so more than a few of them are a reason to refuse a data set as a whole.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SightwordError(
            f"{where} is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}); convert the captions "
            "with iconv -f latin1 -t utf-8 and pack them again"
        ) from error


def hashes(keys: Sequence[str]) -> UInt64[np.ndarray, " n"]:
    """64 bits of a hash of each key, the same everywhere."""
    digests = (hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


@final
class _Found:
    """The samples of an index, while they are found."""

    def __init__(self) -> None:
        self.spans, self.keys = list[list[int]](), list[str]()
        self.splits, self.names, self.captioned = list[int](), dict[str, int](), list[bool]()
        self.bad, self.damages = list[tuple[str, str]](), list[str]()
        self.pairs, self.all = (hashlib.blake2b(digest_size=16) for _ in range(2))

    def add(self, key: str, members: _Group, split: object, captioned: bool, *content: bytes) -> None:
        spans = [member[1:3] if member else (0, 0) for member in members]
        self.keys.append(key)
        self.spans.append([number for span in spans for number in span])
        name = split.encode(errors="replace").decode() if isinstance(split, str) else None
        self.splits.append(self.names.setdefault(name, len(self.names)) if name is not None else -1)
        self.captioned.append(captioned)
        for digest in (self.all, self.pairs) if captioned else (self.all,):
            _add(digest, key.encode(), *content)

    def index(self, counts: dict[str, int]) -> Index:
        return Index(
            spans=np.array(self.spans, dtype=np.int64).reshape(-1, 6),
            keys=self.keys,
            splits=np.array(self.splits, dtype=np.int32),
            split_names=list(self.names),
            captioned=np.array(self.captioned, dtype=np.bool_),
            hashes=hashes(self.keys),
            digest=self.pairs.hexdigest(),
            whole=self.all.hexdigest(),
            report=IndexReport(samples=sum(self.captioned), **counts),
            bad=self.bad,
            damages=self.damages,
        )


_Group = list["Member | None"]  # picture, caption, json


def _describe(tar: Tar, key: str, group: _Group, found: _Found) -> str:
    """Add a group to what is found; why it is no pair, or nothing."""
    picture, caption, fields = group
    if picture is None:
        return "without_picture"
    described = _whole(tar, fields) if fields else b""
    parsed = _object(described) if described else {}
    words = _whole(tar, caption) if caption else b""
    if parsed is None:
        found.bad.append((key, "its json is not an object that can be read"))
        return "bad_json" if caption else "without_caption"
    try:
        says = bool(caption and decode_caption(words, caption.name).strip())
    except SightwordError as error:
        found.bad.append((key, str(error)))
        return "not_utf8"
    content = struct.pack("<q", picture.size), _tail(tar, picture), words, described
    found.add(key, group, parsed.get("split"), says, *content)
    return "" if says else "empty_captions" if caption else "without_caption"


def _walked(tar: Tar, steady: _Steady, found: _Found) -> tuple[dict[str, _Group], dict[str, int]]:
    try:
        return _group(tar.members(), steady)
    except SightwordError:
        files, damages = survey(tar)
    found.damages += [damage.told() for damage in damages]
    groups, counts = _group((Member(*file[:3], b"", file.regular) for file in files), steady)
    return groups, counts | {"damaged_shards": 1}


def _group(members: Iterable[Member], steady: _Steady) -> tuple[dict[str, _Group], dict[str, int]]:
    names = [field.name for field in dataclasses.fields(IndexReport) if field.name != "samples"]
    groups, counts = dict[str, _Group](), dict.fromkeys(names, 0)
    for member in members:
        steady.at(member.offset)
        folder, slash, file = member.name.rpartition("/")
        stem, _, extension = file.partition(".")
        slot = _slot(extension.lower())
        if slot is None or not stem or not member.regular:
            counts["ignored" if member.regular else "links"] += 1
            continue
        group = groups.setdefault(folder + slash + stem, [None, None, None])
        if group[slot] is None:
            group[slot] = member
        else:
            counts["duplicates"] += 1
    return groups, counts


def _slot(extension: str) -> int | None:
    if extension in PICTURES:
        return 0
    return {"txt": 1, "json": 2}.get(extension)


def _whole(tar: Tar, member: Member) -> bytes:
    return member.head if len(member.head) == member.size else tar.read(member.offset, member.size)


def _tail(tar: Tar, member: Member) -> bytes:
    size = min(member.size, _TAIL)
    return tar.read(member.offset + member.size - size, size)


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _add(content: hashlib.blake2b, *parts: bytes) -> None:
    content.update(struct.pack(f"<{len(parts)}q", *map(len, parts)) + b"".join(parts))


@final
class _Steady:
    """Ticks from positions in a tar that is gone through twice, each time for half of its bytes."""

    def __init__(self, tick: Tick, size: int) -> None:
        self._tick, self._size, self._told = tick, size, 0

    def at(self, position: int, half: int = 0) -> None:
        done = (half * self._size + position) // 2
        if done - self._told >= _OFTEN or done == self._size:
            self._tick(done - self._told)
            self._told = done
