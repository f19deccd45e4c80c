"""Published corpora as they lie on disk, in miniature."""

from __future__ import annotations

import bz2
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(number: int) -> bytes:
    """A small JPEG whose every byte after the header tells which one it is."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, 10, 20)).save(file, "JPEG")
    return file.getvalue()


def put(path: Path, content: bytes | str | Any) -> Path:
    """A file of bytes, or of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def put_npy(path: Path, rows: list[Any]) -> None:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    np.save(path, array, allow_pickle=True)


def zipped(root: Path, numbers: list[int]) -> None:
    """YFCC100M's archives with these pictures, by the documented rule: 12345678 is 678.jpg in 12/345.zip."""
    for number in numbers:
        digits = str(number).zfill(8)
        path = root / "images" / digits[0:2] / (digits[2:5] + ".zip")
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(digits[5:8] + ".jpg", picture(number))


YFCC = [(5, "Rome", "a day in Rome"), (12345678, "", "a cat"), (12345679, "gone", ""), (99999999, " ", "")]


def yfcc_by_list(folder: Path) -> None:
    zipped(folder, [5, 12345678, 99999999])
    (folder / "yfcc15m.pkl").write_bytes(pickle.dumps(YFCC))


def yfcc_by_tables(folder: Path, pack: Callable[[bytes], bytes] = bytes, end: str = "") -> None:
    zipped(folder, [5, 12345678, 99999999])
    stored = [
        ("4", "not+chosen", ""),
        ("5", "%3Cb%3ERome%3C%2Fb%3E", "a+day+in+Rome"),
        ("12345678", "http%3A%2F%2Fx.org", "a+cat"),
        ("12345679", "gone", ""),
        ("99999999", "+", ""),
    ]
    lines = ["\t".join((line, *"bcdefgh", title, description, "tags")) for line, title, description in stored]
    table = "".join(f"{line}\n" for line in lines).encode()
    chosen = "".join(f"{number}\tphoto\thash\n" for number, *_ in YFCC).encode()
    (folder / f"yfcc100m_dataset.txt{end}").write_bytes(pack(table))
    (folder / f"yfcc100m_subset_data.tsv{end}").write_bytes(pack(chosen))


def yfcc_packed(folder: Path) -> None:
    yfcc_by_tables(folder, bz2.compress, ".bz2")


def redcaps_entry(number: str, place: str, **more: Any) -> dict[str, Any]:
    return {
        "image_id": number,
        "subreddit": place,
        "caption": f"my {number}",
        "raw_caption": f"My {number}!",
        **more,
    }


REDCAPS = [
    redcaps_entry("guli1", "abandoned"),
    redcaps_entry("1bd79", "itookapicture", author="x", score=3),
]


def redcaps_by_annotations(folder: Path) -> None:
    for entry in REDCAPS:
        place = entry["subreddit"]
        gone = redcaps_entry("gone", place)
        about = {"info": {"version": "1.0"}, "annotations": [entry, gone]}
        put(folder / "annotations" / f"{place}_2017.json", about)
        put(folder / "images" / place / f"{entry['image_id']}.jpg", picture(len(place)))


def redcaps_by_list(folder: Path) -> None:
    entries = [entry for known in REDCAPS for entry in (known, redcaps_entry("gone", known["subreddit"]))]
    put(folder / "redcaps_v1.json", entries)
    for entry in REDCAPS:
        put(folder / entry["subreddit"] / f"{entry['image_id']}.jpg", picture(len(entry["subreddit"])))


def coco(folder: Path, year: str, pictures: str = "", train: Sequence[int] = (9, 25)) -> None:
    """Pictures to train on and one to validate, of each only the first there; captions out of order."""
    for split, ids in (("train", train), ("val", (139,))):
        prefix = f"COCO_{split}2014_" if year == "2014" else ""
        names = {id: f"{prefix}{id:012d}.jpg" for id in ids}
        said = [(id, f"{split} {id}, caption {k}") for k in range(5) for id in reversed(ids)]
        content = {
            "images": [{"id": id, "file_name": name, "license": 1} for id, name in names.items()],
            "annotations": [{"image_id": id, "id": n, "caption": text} for n, (id, text) in enumerate(said)],
        }
        put(folder / f"annotations/captions_{split}{year}.json", content)
        put(folder / pictures / f"{split}{year}" / names[ids[0]], picture(ids[0]))
