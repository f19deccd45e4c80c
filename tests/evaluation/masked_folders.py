"""Folders of pictures and masks, written as their publishers do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ((200, 30, 30), (30, 180, 30), (30, 30, 200))
NAMES = ("red", "green", "blue")


def regions(seed: int, height: int = 30, width: int = 42) -> np.ndarray:
    """Three classes in upright and lying halves that begin at other places in each picture."""
    generator = np.random.default_rng(seed)
    found = np.zeros((height, width), dtype=np.uint8)
    left, first, second = generator.integers(12, width - 12), *generator.permutation(3)[:2]
    found[:], found[:, left:] = first, second
    return found


def painted(mask: np.ndarray, seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    pixels = np.array(COLOURS)[mask] + 15 * generator.standard_normal((*mask.shape, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def save(picture: Path, mask: Path, seed: int, first: int = 0, palette: bool = False) -> None:
    """A picture and its mask, whose upper left corner does not count."""
    found = regions(seed)
    for path in (picture, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    painted(found, seed).save(picture, quality=95)
    numbers = found + first
    numbers[:3, :3] = 0 if first else 255
    image = Image.fromarray(numbers)
    if palette:
        image = image.convert("P")
        image.putdata(numbers.ravel().tolist())
    image.save(mask)


def write_generic(root: Path, parts: dict[str, int]) -> Path:
    """`images/PART`, `masks/PART` and `classnames.txt`; other pictures in every part."""
    for p, (part, count) in enumerate(parts.items()):
        for i in range(count):
            save(root / f"images/{part}/{i}.png", root / f"masks/{part}/{i}.png", 100 * p + i)
    (root / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    return root


def write_ade20k(root: Path) -> Path:
    """`ADEChallengeData2016`: classes from 1, 0 for all else, and a table of names."""
    for split, count in (("training", 4), ("validation", 3)):
        for i in range(count):
            name = f"ADE_{split[:3]}_{i:08d}"
            save(root / f"images/{split}/{name}.jpg", root / f"annotations/{split}/{name}.png", i, first=1)
    rows = ["Idx\tRatio\tTrain\tVal\tName"]
    rows += [f"{i}\t0.1\t10\t2\t{name}, other word" for i, name in enumerate(NAMES, 1)]
    (root / "objectInfo150.txt").write_text("\n".join(rows) + "\n")
    return root


def write_voc(root: Path) -> Path:
    """`VOC2012`: palette masks with 255 at borders, lists of names, pictures without masks beside them."""
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for p, split in enumerate(("train", "val")):
        names = [f"2007_{p}{i:05d}" for i in range(3)]
        for i, name in enumerate(names):
            save(
                root / f"JPEGImages/{name}.jpg",
                root / f"SegmentationClass/{name}.png",
                10 * p + i,
                palette=True,
            )
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    painted(regions(99), 99).save(root / "JPEGImages/2008_000001.jpg")
    (root / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    return root
