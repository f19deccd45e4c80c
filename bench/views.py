"""How fast views are made, against the usual pipeline: `python bench/views.py [--rounds 9] [--out FILE]`.

The reference does what torchvision's transforms do on PIL pictures (RandomResizedCrop, ColorJitter,
RandomGrayscale, GaussianBlur, flip, ToTensor, Normalize), one picture at a time: it is the pipeline that
our tests hold our pixels against. Both make SLIP's three views of the same files with one thread, take
turns in one process, and the medians of their rounds are compared.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "views"))

import numpy as np
import pil_reference
import torch
from photos import photo
from PIL import Image

from sightword.views.decode import decode
from sightword.views.named import language, strong
from sightword.views.pipeline import make_views
from sightword.words import View

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


@dataclass(frozen=True)
class Setting:
    """Files, and the views that are made of them."""

    name: str
    files: Sequence[bytes]
    views: tuple[View, ...]
    decoded: bool  # whether decoding is left out: pictures are in memory already


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/bench/views.jsonl"), help="a line of JSON is appended here"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'setting':<42}{'reference':>12}{'sightword':>12}   pictures/s, one thread")
    rows = []
    for setting in settings():
        theirs, ours = rates(setting, given.rounds)
        rows.append({"setting": setting.name, "reference": theirs, "sightword": ours, "ratio": ours / theirs})
        print(f"{setting.name:<42}{theirs:>12.0f}{ours:>12.0f}   {ours / theirs:.1f} x")
    line = {
        "benchmark": "views",
        "rounds": given.rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def settings() -> list[Setting]:
    """The demo's pictures, and camera-sized JPEGs, with the pixels that training uses."""
    small, large = demo_files(256), jpeg_files([(375, 500), (480, 640)] * 8)
    slip_small = (language(40), strong(40, 0), strong(40, 1))
    slip_large = (language(224), strong(224, 0), strong(224, 1))
    return [
        Setting("demo 64 px, in memory, CLIP view 40 px", small, slip_small[:1], decoded=True),
        Setting("demo 64 px, in memory, 3 views 40 px", small, slip_small, decoded=True),
        Setting("demo 64 px, files, 3 views 40 px", small, slip_small, decoded=False),
        Setting("JPEG 375-480 rows, CLIP view 224 px", large, slip_large[:1], decoded=False),
        Setting("JPEG 375-480 rows, 3 views 224 px", large, slip_large, decoded=False),
    ]


def demo_files(count: int) -> list[bytes]:
    """The first pictures of the demo's shard."""
    shard = resources.files("sightword") / "data" / "demo_emoji_64.tar.gz"
    files: list[bytes] = []
    with shard.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:gz") as tar:
        for member in tar:
            if member.name.endswith((".webp", ".png")) and len(files) < count:
                content = tar.extractfile(member)
                assert content is not None
                files.append(content.read())
    return files


def jpeg_files(shapes: Sequence[tuple[int, int]]) -> list[bytes]:
    """Made-up photographs as JPEGs of quality 90."""
    files = []
    for seed, shape in enumerate(shapes):
        buffer = io.BytesIO()
        Image.fromarray(photo(*shape, seed)).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


def rates(setting: Setting, rounds: int) -> tuple[float, float]:
    """Pictures a second of the reference and of ours: medians of rounds that take turns."""
    runs: tuple[Callable[[int], None], ...] = (reference_run(setting), our_run(setting))
    seconds: tuple[list[float], list[float]] = ([], [])
    for epoch in range(rounds + 1):
        for run, times in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run(epoch)
            times.append(time.perf_counter() - start)
    theirs, ours = (len(setting.files) / statistics.median(times[1:]) for times in seconds)
    return theirs, ours


def reference_run(setting: Setting) -> Callable[[int], None]:
    """Float tensors, normalised, as torchvision's transforms end."""
    kept = (
        [Image.open(io.BytesIO(file)).convert("RGB") for file in setting.files] if setting.decoded else None
    )

    def run(epoch: int) -> None:
        for i, file in enumerate(setting.files):
            image = kept[i] if kept else Image.open(io.BytesIO(file)).convert("RGB")
            for view in setting.views:
                made = pil_reference.view_of(image, view, 0, i, epoch)
                values = (np.asarray(made, dtype=np.float32) / 255 - MEAN) / STD
                torch.from_numpy(values).permute(2, 0, 1).contiguous()

    return run


def our_run(setting: Setting) -> Callable[[int], None]:
    """uint8 tensors: normalising is the first thing that our networks do."""
    ids = np.arange(len(setting.files))
    kept = torch.from_numpy(np.stack([decode(f, "") for f in setting.files])) if setting.decoded else None

    def run(epoch: int) -> None:
        images = kept if kept is not None else [decode(file, "") for file in setting.files]
        make_views(images, setting.views, 0, ids, epoch)

    return run


if __name__ == "__main__":
    main()
