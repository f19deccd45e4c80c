"""Small sets of coloured squares under the names of published ones, whose metrics they are scored by."""

from __future__ import annotations

import re
from pathlib import Path

from colour_sets import COLOURS, square


def published(root: Path, name: str, colours: list[str], each: int = 8) -> str:
    """A class folder of each colour, and how `--on` names it."""
    for c, colour in enumerate(colours):
        folder = root / name / "test" / str(c)
        folder.mkdir(parents=True)
        for i in range(each + c):  # classes of different sizes
            (folder / f"{i}.png").write_bytes(square(colour, 1000 * len(name) + 100 * c + i))
    (root / name / "classnames.txt").write_text("\n".join(colours) + "\n")
    return f"{name}={root / name}"


def small_suite(root: Path) -> list[str]:
    """Four of SLIP's 26: by top-1, by ROC AUC, by the mean of top-1 and top-5, and by the mean per class."""
    every = list(COLOURS)
    return [
        published(root, "rendered_sst2", ["red", "pink"]),
        published(root, "hateful_memes", ["red", "pink"]),
        published(root, "kinetics700_frames", every),
        published(root, "pets", every),
    ]


def described() -> set[str]:
    """Every field that docs/records.md describes."""
    page = Path(__file__).resolve().parents[2] / "docs" / "records.md"
    return set(re.findall(r"`([\w@]+)`", page.read_text(encoding="utf-8")))
