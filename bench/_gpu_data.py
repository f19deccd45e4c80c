"""Whole runs from files: what training reaches with a real loader, and what is said when it starves."""

from __future__ import annotations

import io
import statistics
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sightword.config import Config, DataConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.recipes import models
from sightword.training.loop import train
from sightword.training.records import read_records

_STEPS, _EVERY, _WARM = 120, 10, 3  # steps of a run; records of it that warm up
_REMEDY = "to go faster"  # what the verdict of a run says whose data path is the limit
_FINE = "it was not the limit"


def trained(
    objective: str, model: ModelConfig, rows: int, data: str, device: torch.device, short: bool
) -> dict[str, Any]:
    """Medians of a run's own records."""
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            objective=objective,
            model=model,
            data=DataConfig(path=data, tokenizer="clip", captions="first" if data != "demo" else "label"),
            batch_size=rows,
            steps=60 if short else _STEPS,
            log_every=_EVERY,
            precision="bf16",
            device=str(device),
            evaluate_on="",
            out=str(Path(folder) / "run"),
        )
        records = read_records(train(config, say=said.append) / "metrics.jsonl")
    steps = [record for record in records if record["kind"] == "step"][_WARM:]
    names = ("samples_per_second", "step_seconds", "data_wait", "mfu", "tflops_per_second")
    found: dict[str, Any] = {name: statistics.median(r[name] for r in steps) for name in names}
    return found | {"said": [line for line in said if line.startswith("data:") or "workers" in line]}


def starved(device: torch.device, short: bool) -> dict[str, Any]:
    """Large pictures, one loader or none, and a network that is done at once.

    Raises:
        SystemExit: the run's verdict does not say that the data path is the limit, or a well-fed one's does.
    """
    width, rows, workers = (1600, 16, 0) if short else (1600, 64, 1)
    with tempfile.TemporaryDirectory() as folder:
        shard = large_pictures(Path(folder) / "large.tar", 64, width)
        large = DataConfig(str(shard), captions="first", tokenizer="learned", workers=workers, cache_mib=0)
        config = Config(model=small(), data=large, batch_size=rows)
        hungry = verdict_of(config, device, Path(folder) / "starved")
        config = Config(model=models.vit_tiny(), data=DataConfig("demo", tokenizer="learned", workers=1))
        fed = verdict_of(replace(config, batch_size=8 if short else 64), device, Path(folder) / "fed")
    if _REMEDY not in hungry:
        raise SystemExit(f"a starved run was not called so: {hungry}")
    if _FINE not in fed:
        raise SystemExit(f"a run with enough data was called starved: {fed}")
    return {"pictures": f"{width}x{width * 3 // 4}", "starved": hungry, "fed": fed}


def verdict_of(config: Config, device: torch.device, out: Path) -> str:
    """What a run of a little more than a hundred steps says of its data path."""
    said: list[str] = []
    train(replace(config, steps=105, device=str(device), evaluate_on="", out=str(out)), say=said.append)
    return next((line for line in said if line.startswith("data:")), "nothing was said")


def small() -> ModelConfig:
    """Large views and few numbers: four tokens, one layer."""
    image = ImageTowerConfig(size=224, width=32, layers=(1,), heads=2, patch_size=112)
    return ModelConfig("small", image, TextTowerConfig(width=32, layers=1, heads=2, context=16), embed=16)


def large_pictures(shard: Path, count: int, width: int) -> Path:
    """A tar of JPEG files that take long to decode, with captions."""
    random = np.random.default_rng(0)
    with tarfile.open(shard, "w") as tar:
        for i in range(count):
            coarse = random.integers(0, 256, (width * 3 // 32, width // 8, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            picture = Image.fromarray(coarse).resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
            picture.save(buffer, "JPEG", quality=92)
            caption = f"squares, number {i}".encode()
            for name, content in ((f"{i:04}.jpg", buffer.getvalue()), (f"{i:04}.txt", caption)):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return shard
