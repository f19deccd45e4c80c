"""RedCaps as its downloader leaves it, and as SLIP merges it.

    annotations/SUBREDDIT_YEAR.json    {"annotations": [{"image_id", "subreddit", "caption", ...}], ...}
    images/SUBREDDIT/IMAGE_ID.jpg

    redcaps_v1.json                    the annotations of all as one list (SLIP's combine_captions.py)
    SUBREDDIT/IMAGE_ID.jpg

Captions are the cleaned ones (`caption`); `raw_caption` stays a field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.pairs.layouts.json_list import json_list
from sightword.pairs.layouts.layout import TRAIN, Found, PictureFiles, existing, folders_in, unlike
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import InFile, Row

_KEPT = ("subreddit", "raw_caption", "author")


def find(folder: Path, root: Path) -> Found:
    """RedCaps by its annotations, or by SLIP's list of all of them.

    Raises:
        SightwordError: neither is there.
    """
    files = sorted((folder / "annotations").glob("*.json"))
    merged = existing(folder, "redcaps*.json")
    if not files and merged is None:
        raise unlike("redcaps", folder, "annotations/*.json or redcaps_v1.json, and images/SUBREDDIT/*.jpg")
    pictures = root / "images" if (root / "images").is_dir() else root
    watched = files or [merged] if merged else files
    return Found(partial(_rows, files, merged, pictures), [*watched, *folders_in(pictures)])


def _rows(files: list[Path], merged: Path | None, root: Path, wanted: Wanted) -> Iterator[Row]:
    pictures = PictureFiles(root)
    for entry in _annotations(files) if files or merged is None else json_list(merged):
        try:
            number, place, caption = str(entry["image_id"]), str(entry["subreddit"]), str(entry["caption"])
        except (TypeError, KeyError):
            wanted.left_out["bad_rows"] += 1
            continue
        path = pictures.path(f"{place}/{number}.jpg")
        if path is None:
            wanted.left_out["without_picture"] += 1
            continue
        fields = {"split": TRAIN} | {name: entry[name] for name in _KEPT if isinstance(entry.get(name), str)}
        yield Row(f"{place}/{number}", InFile(path), (caption,), fields)


def _annotations(files: list[Path]) -> Iterator[Any]:
    for file in files:
        try:
            entries = json.loads(file.read_bytes())["annotations"]
        except (OSError, ValueError, RecursionError, TypeError, KeyError) as error:
            raise SightwordError(
                f"'{file}' is no annotation file of RedCaps, or not whole; download it again"
            ) from error
        yield from entries if isinstance(entries, list) else []
