"""Pictures that show a number, so that a test sees which file was read for which sample."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.labelled import Benchmark, LabelledSet

STEP = 8  # between shades, so that a JPEG keeps them apart


def paint(path: Path, number: int) -> None:
    """A small picture of one shade of blue and green, of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (100, STEP * (number // 32), STEP * (number % 32))
    Image.new("RGB", (8, 8), colour).save(path, quality=95)


def number_of(picture: bytes | np.ndarray) -> int:
    """The number that a picture shows."""
    opened = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else Image.fromarray(picture)
    _, green, blue = np.asarray(opened.convert("RGB")).reshape(-1, 3).mean(0)
    return round(green / STEP) * 32 + round(blue / STEP)


def shown(part: LabelledSet | None) -> list[tuple[int, str]]:
    """What each sample's picture shows, with its class in words."""
    assert part is not None
    assert part.classes is not None
    words = [part.classes.names[label] for label in part.classes.of]
    return [(number_of(part.read(i)), words[i]) for i in range(len(part))]


def opened(name: str, root: Path) -> Benchmark:
    """A published data set where it lies."""
    return open_benchmark(f"{name}={root}")


def lines(path: Path, rows: Sequence[object]) -> None:
    """A text file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def refused(name: str, root: Path, words: str) -> None:
    """Opening fails with one line that matches."""
    with pytest.raises(SightwordError, match=words) as caught:
        opened(name, root)
    assert "\n" not in str(caught.value)
