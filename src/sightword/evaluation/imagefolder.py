"""A folder of class folders, with or without `train` and `test` above them (torchvision's ImageFolder)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightword.errors import SightwordError
from sightword.evaluation.labelled import (
    PLAIN,
    TRAIN,
    VALIDATIONS,
    Benchmark,
    LabelledSet,
    Labels,
    benchmark_of,
)
from sightword.evaluation.tars import IMAGES
from sightword.evaluation.textfiles import class_lines, read_lines

TEST = "test"


def is_imagefolder(root: Path) -> bool:
    """Whether there are folders inside."""
    return any(_folders(root))


def open_imagefolder(root: Path) -> Benchmark:
    """Each class folder's pictures, however deep; a folder without splits is all test.

    Beside `test`, a `val`, `valid` or `validation` is what settings are chosen on; else it is the test.

    Beside the folders may lie `classnames.txt` (one line a class, in the sorted order of the folders; without
    it folder names with spaces for underscores), `synonyms.txt` (likewise, separated by commas) and
    `templates.txt` (prompts with `{}` or `{c}`).

    Raises:
        SightwordError: when there are no pictures, or a text file does not fit the folders.
    """
    known = (TRAIN, TEST, *VALIDATIONS)
    splits = {part.name: part for part in _folders(root) if part.name in known and _folders(part)}
    if not splits:
        splits = {TEST: root}
    elif splits.keys() == {TRAIN}:
        raise SightwordError(f"'{root}' holds train but no test or val; add one or name '{root}/train'")
    folders = sorted({folder.name for part in splits.values() for folder in _folders(part)})
    names = class_lines(root / "classnames.txt", len(folders)) or [name.replace("_", " ") for name in folders]
    sets = {split: _split(root, split, part, folders, names) for split, part in splits.items()}
    found = benchmark_of(_name(root), sets)
    assert found is not None
    return found


def _split(root: Path, split: str, part: Path, folders: Sequence[str], names: Sequence[str]) -> LabelledSet:
    files = [file for folder in _folders(part) for file in sorted(folder.rglob("*")) if _is_image(file)]
    if not files:
        kinds = ", ".join(IMAGES)
        raise SightwordError(f"no pictures in the folders of '{part}'; wanted CLASS/PICTURE with {kinds}")
    inside = [file.relative_to(part) for file in files]
    labels = Labels.from_names((path.parts[0] for path in inside), folders)
    synonyms = class_lines(root / "synonyms.txt", len(folders))
    return LabelledSet(
        name=_name(root),
        split=split,
        keys=tuple(path.as_posix() for path in inside),
        read=lambda i: files[i].read_bytes(),
        classes=Labels(tuple(names), labels.of),
        templates=tuple(read_lines(root / "templates.txt")) or PLAIN,
        synonyms=tuple(tuple(word.strip() for word in line.split(",") if word.strip()) for line in synonyms),
    )


def _name(root: Path) -> str:
    return root.resolve().name


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_image(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix.lower().lstrip(".") in IMAGES
