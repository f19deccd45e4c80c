"""Two worker processes a side: our loader against SLIP's data set under torch's DataLoader."""

from __future__ import annotations

import io
import resource
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from _photographs import photographs
from slip_transforms import FilesDataset, clip_view, strong_view
from torch.utils.data import DataLoader

from sightword.config import Config, DataConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.training.session import Session, begin
from sightword.training.supply import Supply

WORKERS, BATCH, FILES, ROUNDS = 2, 32, 96, 5
BATCHES = {"peer": 16, "ours": 64}  # of a round; workers start before its clock does
LEAST, AIM = 7.0, 10.0
Measured = tuple[float, float]  # images a second, and a second of the workers' processors


def loader_rows(only: str) -> list[dict[str, Any]]:
    """Files from local disk (in the system's page cache): pictures beside each other there, a tar here."""
    name = f"{WORKERS} workers, 3 views, 500x375"
    if only not in name:
        return []
    with tempfile.TemporaryDirectory() as folder:
        try:
            runs = {"peer": peer_round(Path(folder)), "ours": our_round(Path(folder))}
        except ImportError as error:
            print(f"{name}, left out: its peer does not load ({error})")
            return []
        found: dict[str, list[Measured]] = {side: [] for side in runs}
        for _ in range(ROUNDS):
            for side, run in runs.items():
                found[side].append(run())
    return [row_of(name, found["peer"], found["ours"])]


def row_of(name: str, theirs: list[Measured], ours: list[Measured]) -> dict[str, Any]:
    """Printed as well; the ratio by the clock counts."""
    rate, processor = ([statistics.median(m[i] for m in side) for side in (theirs, ours)] for i in (0, 1))
    each = sorted(mine[0] / other[0] for other, mine in zip(theirs, ours, strict=True))
    ratio, of_cores = rate[1] / rate[0], processor[1] / processor[0]
    print(f"\n{'two cores, pictures/s by the clock':<52}{'peer':>8}{'ours':>8}{'ratio':>8}  wanted")
    verdict = "" if ratio >= LEAST else " MISSED"
    print(f"{name:<52}{rate[0]:>8.0f}{rate[1]:>8.0f}{ratio:>7.2f}x  {LEAST:g} ({AIM:g}){verdict}")
    print(f"{'':<52}of rounds {each[0]:.2f}-{each[-1]:.2f}; by processor time {of_cores:.2f}x")
    return {
        "setting": name,
        "path": "loader",
        "peer_per_second": rate[0],
        "ours_per_second": rate[1],
        "ratio": ratio,
        "range": [each[0], each[-1]],
        "processor_ratio": of_cores,
        "wanted": [LEAST, AIM],
    }


def peer_round(folder: Path) -> Callable[[], Measured]:
    """SLIP's loader, but for `pin_memory`, which needs a GPU. Captions by our tokenizer, which is faster."""
    for i, file in enumerate(photographs(500, 375, FILES)):
        (folder / f"{i:04}.jpg").write_bytes(file)
    session = our_session(folder)
    captions = [f"a photograph, number {i}" for i in range(FILES)]
    data = FilesDataset(
        sorted(folder.glob("*.jpg")),
        captions,
        clip_view(),
        strong_view(),
        lambda c: session.tokenizer([c]).ids[0],
    )

    def batches() -> Iterator[Any]:
        order = torch.utils.data.RandomSampler(data, num_samples=BATCH * BATCHES["peer"], replacement=True)
        yield from DataLoader(data, BATCH, sampler=order, num_workers=WORKERS, drop_last=True)

    return lambda: measured(batches())


def our_round(folder: Path) -> Callable[[], Measured]:
    """Our loader on a tar of the same files."""
    session = our_session(folder)
    steps = session.steps(None)

    def round_() -> Measured:
        with Supply(steps, 0, BATCHES["ours"], session.config.data, cuda=False) as batches:
            return measured(batches)

    return round_


def our_session(folder: Path) -> Session:
    """`clip + simclr` at 224 pixels; the model is as small as may be, for it is not run."""
    shard = folder / "files.tar"
    if not shard.exists():
        with tarfile.open(shard, "w") as tar:
            for i, path in enumerate(sorted(folder.glob("*.jpg"))):
                for name, content in (
                    (path.name, path.read_bytes()),
                    (f"{i:04}.txt", b"a photograph, number %d" % i),
                ):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    image = ImageTowerConfig(kind="vit", size=224, width=24, layers=(1,), heads=2, patch_size=32)
    text = TextTowerConfig(width=24, layers=1, heads=2, context=77)
    config = Config(
        objective="clip + simclr(hidden=16, out=8)",
        out=tempfile.mkdtemp(dir=folder),
        data=DataConfig(path=str(shard), workers=WORKERS, cache_mib=0),
        model=ModelConfig("tiny", image, text, embed=16),
        batch_size=BATCH,
        steps=BATCHES["ours"],
        device="cpu",
    )
    return begin(config)


def measured(batches: Iterator[Any]) -> Measured:
    """By the clock once every worker has made a batch; by all processor time on the whole."""
    before = processor_seconds()
    for _ in islice(batches, WORKERS):
        pass
    start, count = time.perf_counter(), sum(1 for _ in batches)
    seconds = time.perf_counter() - start
    spent = processor_seconds() - before
    return count * BATCH / seconds, (count + WORKERS) * BATCH / spent


def processor_seconds() -> float:
    """Of this process, whose threads may be workers, and of worker processes that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
