"""The smallest runs of a study, and what they are scored on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from tiny_runs import shard, tiny

from sightword.config import Config

COLOURS = {"red": (220, 30, 30), "blue": (40, 60, 220)}


def labelled(root: Path, each: int = 3) -> Path:
    """Class folders of plain pictures, `train` and `test`."""
    for part in ("train", "test"):
        for name, colour in COLOURS.items():
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(each):
                dimmer = tuple(max(0, value - 10 * index) for value in colour)
                Image.new("RGB", (20, 20), dimmer).save(folder / f"{index}.png")
    return root


def pairs(root: Path) -> Path:
    """Forty pairs."""
    return shard(root / "pairs.tar")


def run(out: Path, data: Path, **changes: Any) -> Config:
    """Six steps."""
    return replace(tiny(out, data), **changes)
