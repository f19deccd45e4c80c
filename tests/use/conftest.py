"""A model that has learned what colours squares have, and folders of such squares."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_shard import picture, small_shard
from tiny_runs import tiny

from sightword.training.loop import train
from sightword.training.model import load_model
from sightword.use.model import UsableModel, load

STEPS = 200
SQUARES = 12  # kinds: the colour of a square, and another one around it


def folder_of(path: Path, count: int = SQUARES, captions: bool = True) -> Path:
    """`count` squares as PNG files, the later half in a folder within."""
    for i in range(count):
        place = path / ("more" if 2 * i >= count else ".") / f"{i:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        content, caption = picture(i)
        place.write_bytes(content)
        if captions:
            place.with_suffix(".txt").write_text(caption)
    return path


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step, whose weights have then learned the squares by heart, all at once and quickly."""
    folder = tmp_path_factory.mktemp("use")
    out = train(
        tiny(folder / "squares", small_shard(folder / "pairs.tar", 24), steps=1), say=lambda said: None
    )
    learn(out)
    return out


def learn(out: Path) -> None:
    """CLIP's loss over all squares until they are told apart (which test_use_model checks)."""
    model = load_model(out, "cpu")
    arrays = [np.asarray(Image.open(io.BytesIO(picture(i)[0]))) for i in range(SQUARES)]
    images, words = model.preparation(arrays), model.tokenizer([picture(i)[1] for i in range(SQUARES)])
    encoders, joint = model.encoders.train(), model.encoders.joint
    assert joint is not None
    optimizer = torch.optim.Adam(encoders.parameters(), lr=5e-3)
    for step in range(STEPS):
        seen = joint.embed_image(encoders.towers["image"](images).pooled)
        read = joint.embed_text(encoders.towers["text"](words).pooled)
        logits = 10 * seen @ read.T
        loss = F.cross_entropy(logits, torch.arange(SQUARES)) + F.cross_entropy(
            logits.T, torch.arange(SQUARES)
        )
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / STEPS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    file = out / "model.safetensors"
    with safe_open(file, "pt") as opened:
        about = opened.metadata()
    learned = encoders.state_dict()
    save_file({name: learned[name].contiguous() for name in load_file(file)}, file, about)


@pytest.fixture(scope="session")
def model(run: Path) -> UsableModel:
    return load(run, device="cpu")
