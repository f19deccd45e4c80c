"""A small corpus with something of everything that statistics tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from odd_pictures import animated, scenery, stored
from PIL import Image

from sightword.pairs.sample import Sample
from sightword.pairs.tars.writer import write_shard

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"
LONG = "word " * 100
CAPTIONS = ("a dog", "A  dog", "a cat", HOSTILE, LONG, "IMG_1234.JPG", "Кошка", "see www.example.com now")


def pictures() -> list[bytes]:
    """40 pictures: eight scenes twice, large and small; gray, blank, animated, a strip, broken, empty."""
    scenes = [scenery(600 + 10 * i, 700, i) for i in range(8)]
    found = [stored(scene, "JPEG", quality=90) for scene in scenes]
    found += [stored(scene.resize((300, 350)), "WEBP", quality=90) for scene in scenes]
    found += [stored(scenery(64, 48, 100 + i)) for i in range(8)]
    found += [stored(scenery(100, 80, 200 + i).convert("L"), "JPEG") for i in range(4)]
    found += [stored(Image.new("RGB", (50 + i, 50), (200, 10, 10))) for i in range(4)]
    found += [animated(60, 50), stored(scenery(400, 40, 300)), found[0], found[8]]
    found += [found[0][:500], b"", b"no picture", stored(scenery(90, 90, 301))]
    return found


def samples() -> list[Sample]:
    """Each caption of eight five times; every fourth pair has a second one."""
    more = [(), (), (), ("another caption",)]
    return [
        Sample(f"k{i:02d}", (CAPTIONS[i % 8], *more[i % 4]), {"split": "train" if i % 5 else "test"}, image)
        for i, image in enumerate(pictures())
    ]


def write_corpus(folder: Path) -> Path:
    """One tar."""
    path = folder / "00000.tar"
    write_shard(path, samples())
    return path


def pixels_of(level: int, size: int = 8) -> np.ndarray:
    """A flat picture."""
    return np.full((size, size, 3), level, dtype=np.uint8)
