"""How fast pictures become batches, against the pipelines of SLIP and open_clip: `python bench/data.py`.

Both sides read the same JPEG files and take turns in one process; the first round does not count. One core:
torch has one thread, and processor time of the whole process counts (wall time is shown, too), medians of
rounds. Two cores: loaders with two workers each, images a second by the clock. The peers are the real
torchvision, PIL and open_clip; without them their rows are left out, and the reason is said. To install them:

    python -m pip install --no-deps torchvision==0.28.0 open_clip_torch==3.3.0   # of torch 2.13
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, metadata, resources
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "peers"))

import numpy as np
import torch
from _loaders import loader_rows
from _photographs import packed, photographs
from _results import append
from PIL import Image
from slip_transforms import clip_view, strong_view
from torchvision_schemas import load_torchvision

from sightword.views.decode import decode
from sightword.views.files import views_of_files
from sightword.views.named import language, strong
from sightword.views.native.library import SETTING, current
from sightword.views.pipeline import make_views
from sightword.words import View

Run = Callable[[int], None]
PACKAGES = ("torch", "numpy", "pillow", "simplejpeg", "torchvision", "open_clip_torch", "sightword")


@dataclass(frozen=True)
class Target:
    """How many times as fast as the peer: what must be, and what is aimed at."""

    least: float
    aim: float


@dataclass(frozen=True)
class Setting:
    """Files, the views that are made of them, and the peer's transforms, one for each view."""

    name: str
    files: Sequence[bytes]
    views: tuple[View, ...]
    peer: Callable[[], Sequence[Any]]
    native: Target | None = None
    portable: Target | None = None
    decoded: bool = False  # pictures are in memory already


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--pictures", type=int, default=24, help="files of every setting")
    parser.add_argument("--only", default="", help="settings whose name has this word")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    load_torchvision()
    rows = one_core(given.pictures, given.rounds, given.only)
    rows += loader_rows(given.only)
    append(given.out, "data", rows, rounds=given.rounds, versions=versions())


def versions() -> dict[str, str]:
    """Of everything that the figures depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def one_core(pictures: int, rounds: int, only: str) -> list[dict[str, Any]]:
    """One row for each setting and each of our paths."""
    heads = f"{'one core, pictures/s':<52}{'peer':>8}{'ours':>8}{'ratio':>8}  {'quartiles':<13}{'wall':>6}"
    print(f"{heads}  wanted")
    rows = []
    for setting in settings(pictures):
        if only in setting.name:
            rows += list(compared(setting, rounds))
    return rows


def settings(count: int) -> Iterator[Setting]:
    """SLIP's three views of files of several sizes, one CLIP view, and the demo's small pictures."""
    slip = (language(224), strong(224, 0), strong(224, 1))
    medium, large = photographs(500, 375, count), photographs(640, 480, count)
    huge = photographs(1600, 1200, max(4, count // 4), quality=90)
    usual, small = (Target(6, 9), Target(2.5, 3.5)), (Target(9, 12), None)
    for name, files, targets in (
        ("500x375", medium, usual),
        ("640x480", large, usual),
        ("stored at 256, of 500x375", packed(medium), small),
        ("stored at 256, of 640x480", packed(large), small),
        ("1600x1200", huge, (None, None)),
    ):
        yield Setting(f"3 views, {name}, {kilobytes(files)} KB", files, slip, slip_peer, *targets)
    yield Setting("CLIP view, 500x375", medium, slip[:1], lambda: [clip_view()])
    whole = (language(224, "whole"),)
    for name, files in (("500x375", medium), ("640x480", large)):
        yield Setting(f"open_clip's view, {name}", files, whole, open_clip_peer, Target(3.5, 4))
    demo, tiny = demo_files(256), (language(40), strong(40, 0), strong(40, 1))
    yield Setting("demo 64 px, 3 views 40 px", demo, tiny, tiny_peer)
    yield Setting("demo 64 px, 3 views 40 px, in memory", demo, tiny, tiny_peer, decoded=True)


def kilobytes(files: Sequence[bytes]) -> int:
    return round(sum(map(len, files)) / len(files) / 1000)


def slip_peer() -> Sequence[Any]:
    """SLIP's three transforms."""
    return [clip_view(), strong_view(), strong_view()]


def tiny_peer() -> Sequence[Any]:
    """The same at 40 pixels, blurred in proportion as ours."""
    return [clip_view(40), *(strong_view(40, strong(40).sigma) for _ in range(2))]


def open_clip_peer() -> Sequence[Any]:
    """open_clip's training transform, which resizes by bicubic interpolation where ours is bilinear."""
    return [import_module("open_clip.transform").image_transform(224, is_train=True)]


def compared(setting: Setting, rounds: int) -> Iterator[dict[str, Any]]:
    """Each of our paths against the peer."""
    runs: dict[str, Run] = {}
    try:
        runs["peer"] = peer_run(setting, setting.peer())
    except ImportError as error:
        print(f"{setting.name}, left out: its peer does not load ({error})")
        return
    runs |= our_runs(setting)
    times = in_turns(runs, rounds)
    for name in runs:
        if name != "peer":
            target = setting.native if name == "native" else setting.portable
            yield row_of(setting, name, times["peer"], times[name], target)


def peer_run(setting: Setting, transforms: Sequence[Any]) -> Run:
    """As SLIP's data set: a picture is decoded and converted once, then transformed for each view."""
    kept = [pil_image(file) for file in setting.files] if setting.decoded else None

    def run(number: int) -> None:
        torch.manual_seed(number)
        random.seed(number)
        for i, file in enumerate(setting.files):
            image = kept[i] if kept else pil_image(file)
            for transform in transforms:
                transform(image)

    return run


def pil_image(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file)).convert("RGB")


def our_runs(setting: Setting) -> dict[str, Run]:
    """uint8 batches: normalising is the first thing that our networks do."""
    ids = np.arange(len(setting.files))
    keys = [str(i) for i in ids]
    kept = torch.from_numpy(np.stack([decode(f, "") for f in setting.files])) if setting.decoded else None

    def run(number: int) -> None:
        if kept is not None:
            make_views(kept, setting.views, 0, ids, number)
        else:
            views_of_files(setting.files, keys, setting.views, 0, ids, np.full(len(ids), number))

    return {name: within(name, run) for name in paths()}


def paths() -> list[str]:
    """How our views can be made here: by the native kernel where it is built, and without it."""
    with path("native"):
        return ["native", "portable"] if current() is not None else ["portable"]


@contextmanager
def path(name: str) -> Iterator[None]:
    with mock.patch.dict(os.environ, {SETTING: "1" if name == "native" else "0"}):
        yield


def within(name: str, run: Run) -> Run:
    def inside(number: int) -> None:
        with path(name):
            run(number)

    return inside


def in_turns(runs: Mapping[str, Run], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Processor and wall seconds of every run in every round but the first."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            wall, processor = time.perf_counter(), time.process_time()
            run(number)
            taken = time.process_time() - processor, time.perf_counter() - wall
            if number:
                times[name].append(taken)
    return times


def row_of(
    setting: Setting,
    name: str,
    theirs: list[tuple[float, float]],
    ours: list[tuple[float, float]],
    target: Target | None,
) -> dict[str, Any]:
    """A row, printed too: rates, the ratio of medians, the quartiles of the rounds' ratios."""
    rates = [len(setting.files) / statistics.median(cpu for cpu, _ in times) for times in (theirs, ours)]
    walls = [len(setting.files) / statistics.median(wall for _, wall in times) for times in (theirs, ours)]
    ratio, wall = rates[1] / rates[0], walls[1] / walls[0]
    each = [a[0] / b[0] for a, b in zip(theirs, ours, strict=True)]
    low, _, high = statistics.quantiles(each, n=4)
    wanted = (
        ""
        if target is None
        else f"{target.least:g} ({target.aim:g}) {'' if ratio >= target.least else 'MISSED'}"
    )
    title, spread = f"{setting.name}, {name}", f"{low:.2f}-{high:.2f}"
    print(
        f"{title:<52}{rates[0]:>8.0f}{rates[1]:>8.0f}{ratio:>7.2f}x  {spread:<13}{wall:>5.2f}x  {wanted}",
        flush=True,
    )
    return {
        "setting": setting.name,
        "path": name,
        "peer_per_second": rates[0],
        "ours_per_second": rates[1],
        "ratio": ratio,
        "quartiles": [low, high],
        "wall_ratio": wall,
        "wanted": target and [target.least, target.aim],
    }


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


if __name__ == "__main__":
    main()
