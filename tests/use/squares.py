"""Folders of coloured squares, and a model that learns them by heart."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_shard import picture

from sightword.training.model import load_model

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
