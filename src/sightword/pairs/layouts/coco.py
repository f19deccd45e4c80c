"""COCO's captions, five a picture, of 2014 or 2017; and Karpathy's splits of 2014.

    annotations/captions_train2017.json    train2017/000000000009.jpg       (or images/train2017/...)
    annotations/captions_train2014.json    train2014/COCO_train2014_000000000009.jpg
    dataset_coco.json                      with the pictures of 2014

A picture is one sample with all its captions, in the order of the file; its field `split` is `train` or
`val`. Of Karpathy's splits `restval` counts as `train`, as those who use them count it: 113,287 pictures.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.pairs.layouts.layout import Found, PictureFiles, existing, unlike
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import InFile, Row

_YEARS = ("2014", "2017")
_SPLITS = ("train", "val")
_KARPATHY = ("dataset_coco.json", "annotations/dataset_coco.json", "karpathy/dataset_coco.json")


def find(folder: Path, root: Path) -> Found:
    """COCO of the one year that is there.

    Raises:
        SightwordError: none is there, or both, which share most of their pictures.
    """
    years = [year for year in _YEARS if _annotations(folder, year)]
    if len(years) > 1:
        raise SightwordError(
            f"'{folder}' holds the captions of 2014 and of 2017, which share their pictures; write"
            f" coco2014:{folder} or coco2017:{folder}"
        )
    if not years:
        raise unlike("coco", folder, " or ".join(map(_wanted, _YEARS)))
    return _of_year(years[0], folder, root)


def find_2014(folder: Path, root: Path) -> Found:
    """COCO of 2014."""
    return _of_year("2014", folder, root)


def find_2017(folder: Path, root: Path) -> Found:
    """COCO of 2017."""
    return _of_year("2017", folder, root)


def find_karpathy(folder: Path, root: Path) -> Found:
    """Karpathy's splits of COCO 2014."""
    file = existing(folder, *_KARPATHY)
    if file is None:
        raise unlike("coco-karpathy", folder, "dataset_coco.json (also in annotations/ or karpathy/)")
    folders = [found for split in _SPLITS if (found := _pictures_of(root, f"{split}2014"))]
    return Found(partial(_karpathy_rows, file, root), [file, *folders])


def _of_year(year: str, folder: Path, root: Path) -> Found:
    files = _annotations(folder, year)
    if not files:
        raise unlike(f"coco{year}", folder, _wanted(year))
    folders = [found for split in files if (found := _pictures_of(root, f"{split}{year}"))]
    if not folders:
        wanted = ", ".join(f"{split}{year}/ and images/{split}{year}/" for split in files)
        raise unlike(f"the pictures of coco{year}", root, wanted)
    return Found(partial(_rows, files, year, root), [*files.values(), *folders])


def _wanted(year: str) -> str:
    return " or ".join(f"annotations/captions_{split}{year}.json" for split in _SPLITS)


def _annotations(folder: Path, year: str) -> dict[str, Path]:
    names = {split: f"captions_{split}{year}.json" for split in _SPLITS}
    found = {split: existing(folder, f"annotations/{name}", name) for split, name in names.items()}
    return {split: file for split, file in found.items() if file is not None}


def _pictures_of(root: Path, name: str) -> Path | None:
    return next((path for path in (root / name, root / "images" / name) if path.is_dir()), None)


def _rows(files: dict[str, Path], year: str, root: Path, wanted: Wanted) -> Iterator[Row]:
    for split, file in files.items():
        content = _json(file, "images", "annotations")
        captions = defaultdict[Any, list[str]](list)
        pictures = PictureFiles(_pictures_of(root, f"{split}{year}") or root)
        try:
            for entry in content["annotations"]:
                captions[entry["image_id"]].append(str(entry["caption"]))
            named = [(image["id"], str(image["file_name"])) for image in content["images"]]
        except (TypeError, KeyError) as error:
            raise _odd(file) from error
        wanted.expected += len(named)
        for number, name in named:
            path = pictures.path(name)
            if path is None:
                wanted.left_out["without_picture"] += 1
            else:
                fields = {"split": split, "image_id": number}
                yield Row(f"{split}{year}/{number:012d}", InFile(path), tuple(captions[number]), fields)


def _karpathy_rows(file: Path, root: Path, wanted: Wanted) -> Iterator[Row]:
    folders = {f"{split}2014": PictureFiles(_pictures_of(root, f"{split}2014") or root) for split in _SPLITS}
    images = _json(file, "images")["images"]
    wanted.expected = len(images)
    for image in images:
        try:
            folder, number, told = image["filepath"], image["cocoid"], image["split"]
            captions = tuple(str(sentence["raw"]) for sentence in image["sentences"])
            path = folders[folder].path(str(image["filename"]))
            key = f"{folder}/{number:012d}"
        except (TypeError, KeyError, ValueError) as error:
            raise _odd(file) from error
        if path is None:
            wanted.left_out["without_picture"] += 1
            continue
        split = "train" if told == "restval" else told
        yield Row(key, InFile(path), captions, {"split": split, "image_id": number, "karpathy": told})


def _json(file: Path, *names: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _odd(file) from error
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in names):
        raise _odd(file)
    return content


def _odd(file: Path) -> SightwordError:
    return SightwordError(f"'{file}' is not COCO's file of that name, or not whole; download it again")
