"""Floor 3. What lies where in a tar: built once by a walk over its headers, kept in a sidecar file.

Members are grouped into samples as webdataset does: the key is the path up to the first dot of the file
name, the rest is the extension. A sample needs one picture and one `.txt` caption that says something;
a `.json` object is optional. Whatever is left out is counted, in `IndexReport`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
from jaxtyping import Int32, Int64

from sightword.errors import SightwordError
from sightword.pairs.files import cache_dir, write_whole
from sightword.pairs.tar import Member, Tar

PICTURES = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "ppm"})
_VERSION = 1
_TAIL = 256  # a picture's last bytes are compressed data or checksums: they tell pictures apart cheaply
_EDGE = 4096
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class IndexReport:
    """How many samples there are, and how many files were left out and why."""

    samples: int = 0
    without_picture: int = 0  # captions with no picture of the same key
    without_caption: int = 0
    empty_captions: int = 0  # nothing but white space: left out
    bad_json: int = 0  # not a JSON object: the sample is left out
    duplicates: int = 0  # a second picture, caption or json of one key: the first counts
    links: int = 0  # links, devices and sparse files
    ignored: int = 0  # files of other kinds
    bad_rows: int = 0  # lines of a table that cannot be read

    def __add__(self, other: IndexReport) -> IndexReport:
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return IndexReport(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def left_out(self) -> str:
        """What was left out, in words; empty when nothing was."""
        counts = dataclasses.asdict(self)
        del counts["samples"]
        return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)


@final
@dataclass(frozen=True)
class Index:
    """One tar's samples, in the order in which their keys first appear."""

    spans: Int64[np.ndarray, "n 6"]  # offset and size of picture, caption, json; json size 0: none
    keys: Sequence[str]
    splits: Int32[np.ndarray, " n"]  # each sample's json field `split`, as a place in `split_names`; -1: none
    split_names: Sequence[str]
    digest: str  # of keys, captions, json, and of the pictures' sizes and last bytes
    report: IndexReport

    def rows(self, split: str) -> Int64[np.ndarray, " m"]:
        """The samples of one split; of all when it is empty."""
        if not split:
            return np.arange(len(self.keys), dtype=np.int64)
        code = self.split_names.index(split) if split in self.split_names else -2
        return np.flatnonzero(self.splits == code).astype(np.int64)


def index_of(tar: Tar) -> Index:
    """The index of a tar: from its sidecar where that fits, else built and stored.

    The sidecar lies beside the tar, or in the cache folder where that is read-only, and fits when the
    tar's size, time of change and first and last bytes are what they were.

    Raises:
        SightwordError: the tar is cut short or damaged, or a caption is not UTF-8.
    """
    stamp = _stamp(tar)
    places = _places(tar.path)
    for place in places:
        try:
            return _read(place, stamp)
        except _UNREADABLE:
            continue
    index = build(tar)
    for place in places:
        try:
            write_whole(place, lambda file: _write(file, index, stamp))
            break
        except OSError:
            continue  # a read-only folder; with no place at all the index is simply built again next time
    return index


def build(tar: Tar) -> Index:
    """Walk a tar and describe its samples; see `index_of`."""
    groups, counts = _group(tar)
    spans, keys, splits, names = [], [], [], dict[str, int]()
    content = hashlib.blake2b(digest_size=16)
    for key, (picture, caption, fields) in groups.items():
        lacking = "without_picture" if picture is None else "without_caption" if caption is None else ""
        if picture is None or caption is None:
            counts[lacking] += 1
            continue
        words, described = _whole(tar, caption), _whole(tar, fields) if fields else b""
        parsed = _object(described) if described else {}
        if parsed is None or not decode_caption(words, f"{tar.path}: {caption.name}").strip():
            counts["bad_json" if parsed is None else "empty_captions"] += 1
            continue
        keys.append(key)
        spans.append([*picture[1:3], *caption[1:3], *(fields[1:3] if fields else (0, 0))])
        split = parsed.get("split")
        splits.append(names.setdefault(split, len(names)) if isinstance(split, str) else -1)
        _add(content, key.encode(), struct.pack("<q", picture.size), _tail(tar, picture), words, described)
    report = IndexReport(samples=len(keys), **counts)
    table = np.array(spans, dtype=np.int64).reshape(-1, 6)
    return Index(table, keys, np.array(splits, dtype=np.int32), list(names), content.hexdigest(), report)


def decode_caption(data: bytes, where: str) -> str:
    """A caption's text.

    Raises:
        SightwordError: it is not UTF-8. Leaving such captions out would drop every caption with an accent
            and keep the rest, a bias that nobody sees, so the data set is refused as a whole.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SightwordError(
            f"{where} is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}); convert the captions "
            "with iconv -f latin1 -t utf-8 and pack them again"
        ) from error


_Group = list["Member | None"]  # picture, caption, json


def _group(tar: Tar) -> tuple[dict[str, _Group], dict[str, int]]:
    names = [field.name for field in dataclasses.fields(IndexReport) if field.name != "samples"]
    groups, counts = dict[str, _Group](), dict.fromkeys(names, 0)
    for member in tar.members():
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


def _stamp(tar: Tar) -> dict[str, Any]:
    size = tar.stat.st_size
    edges = tar.read(0, min(_EDGE, size)) + tar.read(max(0, size - _EDGE), min(_EDGE, size))
    fingerprint = hashlib.blake2b(edges, digest_size=16).hexdigest()
    return {"version": _VERSION, "size": size, "mtime_ns": tar.stat.st_mtime_ns, "fingerprint": fingerprint}


def _places(path: Path) -> tuple[Path, Path]:
    name = hashlib.blake2b(str(path.resolve()).encode(errors="surrogateescape"), digest_size=16).hexdigest()
    return path.with_name(f"{path.name}.index.npz"), cache_dir() / "index" / f"{name}.npz"


def _write(file: BinaryIO, index: Index, stamp: Mapping[str, Any]) -> None:
    about = {
        "stamp": stamp,
        "keys": list(index.keys),
        "split_names": list(index.split_names),
        "digest": index.digest,
        "report": dataclasses.asdict(index.report),
    }
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    buffer = io.BytesIO()  # a zip is written with seeks back and forth; the file gets it in one piece
    np.savez(buffer, about=text, spans=index.spans, splits=index.splits)
    file.write(buffer.getvalue())


def _read(place: Path, stamp: Mapping[str, Any]) -> Index:
    with np.load(place, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        if about["stamp"] != stamp:
            raise ValueError("the tar has changed")
        spans, splits = stored["spans"], stored["splits"]
    report = IndexReport(**about["report"])
    return Index(spans, about["keys"], splits, about["split_names"], about["digest"], report)
