"""The smallest runs that train: a shard of noisy squares, towers of one layer, a few steps."""

from __future__ import annotations

import io
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from small_shard import write_tar
from torch import Tensor

from sightword.config import (
    Config,
    DataConfig,
    ImageTowerConfig,
    ModelConfig,
    OptimizerConfig,
    TextTowerConfig,
)
from sightword.pieces.index import read_index
from sightword.pieces.reading import read_whole
from sightword.training.model import Model
from sightword.training.saving.staging import MODEL
from sightword.training.session import Session, begin

VIT = ImageTowerConfig(kind="vit", size=16, width=24, layers=(1,), heads=2, patch_size=4)
RESNET = ImageTowerConfig(kind="resnet", size=16, width=8, layers=(1, 1), heads=2, patch_size=4, pool="gap")
TEXT = TextTowerConfig(width=24, layers=1, heads=2, context=16)
SIMCLR = "simclr(hidden=16, out=8)"
MAE = "mae(decoder_width=16, decoder_layers=1, decoder_heads=2)"
MOCOV3 = "mocov3(hidden=16, out=8)"
BYOL = "byol(hidden=16, out=8, momentum=0.9)"
_WORDS = ["a", "red", "small", "very", "large", "round", "square", "on", "under", "dark", "thing"]


def shard(path: Path, count: int = 40, size: int = 20, broken: tuple[int, ...] = ()) -> Path:
    """Pictures of noise, captions of one to nine words; the `broken` pictures are not pictures."""
    random = np.random.default_rng(0)
    members = {}
    for index in range(count):
        buffer = io.BytesIO()
        pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG")
        members[f"{index:04}.png"] = b"no picture" if index in broken else buffer.getvalue()
        members[f"{index:04}.txt"] = " ".join(random.choice(_WORDS, 1 + index % 9)).encode()
    return write_tar(path, members)


def tiny(
    out: Path, data: Path, objective: str = "clip", image: ImageTowerConfig = VIT, **changes: Any
) -> Config:
    """A run of six steps of eight samples, in fp32, without loader processes."""
    config = Config(
        objective=objective,
        out=str(out),
        data=DataConfig(path=str(data), tokenizer="learned", vocab=300, workers=0),
        model=ModelConfig("tiny", image, TEXT, embed=16),
        optimizer=OptimizerConfig(lr=1e-2, wd=0.1, warmup=0.2),
        batch_size=8,
        steps=6,
        precision="fp32",
        save_minutes=0.0,
        log_every=1,
        device="cpu",
    )
    return replace(config, **changes)


def opened(out: Path, data: Path, objective: str = "clip", **changes: Any) -> Session:
    """A run that has begun, with everything it holds."""
    return begin(tiny(out, data, objective, **changes))


def plain() -> torch.autocast:
    """The precision context of fp32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=False)


def stop_at(step: int) -> Callable[[Model], list[dict[str, Any]]]:
    """Something that watches a run and asks it to stop, as `kill` does, when it has done `step` steps."""

    def watch(model: Model) -> list[dict[str, Any]]:
        if model.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return []

    return watch


def newest_files(out: Path) -> dict[str, bytes]:
    """What the newest checkpoint of a run and its `model.safetensors` hold, to the byte."""
    newest = max((out / "checkpoints").glob("step-*"))
    files = [*sorted(newest.glob("rank-*")), newest / "index.json", out / "model.safetensors"]
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


def assert_same_tensors(first: Path, second: Path) -> None:
    """Two safetensors files hold the same tensors to the bit; the message names one that differs."""
    ours, theirs = load_file(first), load_file(second)
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different, different


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file may grow beyond `limit` bytes: the system refuses as it does when there is no space."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def saved_model(checkpoint: Path) -> dict[str, Tensor]:
    """What a checkpoint holds of the model, by the names of its state dict."""
    index = read_index(checkpoint)
    own = {name: entry for name, entry in index.items() if name.startswith(MODEL)}
    return {name.removeprefix(MODEL): tensor for name, tensor in read_whole(checkpoint, own).items()}
