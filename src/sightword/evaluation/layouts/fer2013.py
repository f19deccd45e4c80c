"""FER2013's csv: one line a face, 48 x 48 gray pixels written out in decimal."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import UInt8

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.stored import as_rgb, broken
from sightword.evaluation.progress import watched

_FILES = ("fer2013.csv", "icml_face_data.csv", "fer2013/fer2013.csv", "fer2013/icml_face_data.csv")
_SIDE = 48
_TYPICAL = 8_400  # bytes of a line, for the bar alone
_COLUMNS = ("emotion", "pixels", "usage")
# The publisher's numbers, as the words of the card.
EMOTIONS = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
_SPLITS = {"PublicTest": "validation", "PrivateTest": "test", "Training": "train"}


class _Row(NamedTuple):
    """A line of the file."""

    begin: int
    length: int
    emotion: int
    line: int  # counted from 1


@final
class Fer2013(Layout):
    """`fer2013.csv` (emotion,pixels,Usage) or `icml_face_data.csv` (emotion, Usage, pixels).

    Source: Goodfellow et al. 2013 (arXiv 1307.0414): Training 28,709, PublicTest 3,589 (here validation),
    PrivateTest 3,589 (here test). Lines are found when the file is opened, pixels are read when asked for.
    Deviation: CLIP and SLIP score on a split of their own whose pictures are not listed.
    """

    cards = ("fer2013",)

    def lies_in(self, root: Path) -> bool:
        return _file(root) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        path = _file(root)
        assert path is not None
        rows, pixels = _rows(path)
        lacking = [usage for usage, split in _SPLITS.items() if split == "test" and not rows[split]]
        if lacking:
            raise broken(path, f"has no line of {lacking[0]}", "lines of each Usage")
        test, train, validation = (
            _split(path, card, split, rows[split], pixels) if rows[split] else None
            for split in ("test", "train", "validation")
        )
        assert test is not None
        return Benchmark(card.name, (test,), train, validation)


def _file(root: Path) -> Path | None:
    if root.is_file():
        return root if root.name in _FILES else None
    return next((root / name for name in _FILES if (root / name).is_file()), None)


def _rows(path: Path) -> tuple[dict[str, list[_Row]], int]:
    """The lines of each split, and which column holds the pixels."""
    rows: dict[str, list[_Row]] = {split: [] for split in _SPLITS.values()}
    with path.open("rb") as file:
        header = file.readline()
        columns = [name.strip().strip('"').lower() for name in header.decode("latin-1").split(",")]
        if sorted(columns) != sorted(_COLUMNS):
            raise broken(path, f"begins with the columns {', '.join(columns)[:80]}", "emotion, pixels, Usage")
        emotion, pixels, usage = (columns.index(name) for name in _COLUMNS)
        begin = len(header)
        about = 1 + path.stat().st_size // _TYPICAL
        for number, line in enumerate(watched(file, about, f"looking through {path.name}"), 2):
            fields = line.split(b",")
            if line.strip():
                split, label = _checked(path, number, fields, emotion, pixels, usage)
                rows[split].append(_Row(begin, len(line), label, number))
            begin += len(line)
    return rows, pixels


def _checked(
    path: Path, number: int, fields: list[bytes], emotion: int, pixels: int, usage: int
) -> tuple[str, int]:
    where = f"in line {number}"
    if len(fields) != len(_COLUMNS):
        raise broken(path, f"has {len(fields)} fields {where}", f"{len(_COLUMNS)}")
    split = _SPLITS.get(_text(fields[usage]))
    if split is None:
        raise broken(path, f"says Usage '{_text(fields[usage])[:40]}' {where}", " or ".join(_SPLITS))
    label = _text(fields[emotion])
    if not label.isdigit() or int(label) >= len(EMOTIONS):
        raise broken(path, f"says emotion '{label[:40]}' {where}", f"0 to {len(EMOTIONS) - 1}")
    count = fields[pixels].strip(b' "\r\n').count(b" ") + 1
    if count != _SIDE**2:
        raise broken(path, f"has {count:,} pixels {where}", f"{_SIDE**2:,}")
    return split, int(label)


def _text(field: bytes) -> str:
    return field.decode("latin-1").strip().strip('"')


def _split(path: Path, card: Card, split: str, rows: list[_Row], pixels: int) -> LabelledSet:
    places = np.array([card.classes.index(name) for name in EMOTIONS])

    def picture(i: int) -> UInt8[np.ndarray, "48 48 3"]:
        with path.open("rb") as file:
            file.seek(rows[i].begin)
            written = _text(file.read(rows[i].length).split(b",")[pixels]).split()
        try:
            gray = np.array([int(value) for value in written]).reshape(_SIDE, _SIDE)
        except ValueError as error:
            raise SightwordError(f"'{path}' has pixels that are no numbers in line {rows[i].line}") from error
        if gray.min() < 0 or gray.max() > 255:
            raise broken(path, f"has a pixel outside of 0 to 255 in line {rows[i].line}", "bytes")
        return as_rgb(gray.astype(np.uint8))

    labels = places[[row.emotion for row in rows]].astype(np.int64)
    return split_of(card, split, [f"line{row.line}" for row in rows], picture, labels)
