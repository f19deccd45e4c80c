"""Coloured squares, a model that knows the names of colours, and writers of every layout."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 180, 30),
    "blue": (30, 30, 200),
    "yellow": (200, 190, 30),
    "pink": (220, 120, 180),
    "black": (10, 10, 20),
}
ALIASES = {"crimson": "red", "azure": "blue"}


def square(colour: str, seed: int, noise: float = 40.0) -> bytes:
    """A PNG of 12 x 10 noisy pixels."""
    generator = np.random.default_rng(seed)
    pixels = np.array(COLOURS[colour]) + noise * generator.standard_normal((10, 12, 3))
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def write_tar(path: Path, samples: Sequence[tuple[str, Mapping[str, bytes]]]) -> Path:
    """A webdataset tar of (key, files by extension)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, files in samples:
            for extension, data in files.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def write_folder(root: Path, each: int = 6, splits: Sequence[str] = ("train", "test")) -> Path:
    """An ImageFolder of colours."""
    for s, split in enumerate(splits):
        for c, colour in enumerate(COLOURS):
            folder = root / split / colour
            folder.mkdir(parents=True)
            for i in range(each):
                (folder / f"{i}.png").write_bytes(square(colour, 1000 * s + 100 * c + i))
    return root


def write_clip_benchmark(
    root: Path, each: int = 4, shards: int = 2, splits: Sequence[str] = ("test",)
) -> Path:
    """CLIP_benchmark's layout, colours in the order of COLOURS."""
    samples = [
        (f"s{i:07d}", {"png": square(colour, i), "cls": str(list(COLOURS).index(colour)).encode()})
        for i, colour in enumerate(list(COLOURS) * each)
    ]
    for shard in range(shards):
        write_tar(root / "test" / f"{shard}.tar", samples[shard::shards])
    (root / "test" / "nshards.txt").write_text(f"{shards}\n")
    (root / "classnames.txt").write_text("\n".join(COLOURS) + "\n")
    (root / "zeroshot_classification_templates.txt").write_text("a photo of {c}.\na {c} thing\n")
    return root


def write_labelled_tar(path: Path, each: int = 5) -> Path:
    """One tar whose json names class and split."""
    samples = []
    for i, colour in enumerate(list(COLOURS) * each * 2):
        split = "train" if i % 2 else "test"
        fact = {"class_name": colour, "label": 7, "split": split}
        samples.append((f"{split}_{i}", {"png": square(colour, i), "json": json.dumps(fact).encode()}))
    return write_tar(path, samples)


@dataclass
class ColourModel:
    """Sees the mean colour, reads the names of colours: the joint space is RGB around gray."""

    name: str = "colours"
    weights_hash: str = "w0"
    step: int = 3
    samples: int = 30
    flops: float = 1e9
    image_size: int = 8
    has_text: bool = True
    blur: float = 0.0  # confuses the image features, to make a worse model
    seen: int = 0
    read: list[str] = field(default_factory=list)

    def encode_image(self, images: UInt8[Tensor, "b 3 h w"], project: bool = False) -> Float[Tensor, "b d"]:
        self.seen += len(images)
        pixels = images.float() / 255 - 0.5
        if not project:
            return F.adaptive_avg_pool2d(pixels, 2).flatten(1)
        mean = pixels.mean(dim=(2, 3))
        noise = torch.sin(1e4 * mean.sum(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0]))
        return F.normalize(mean + self.blur * noise, dim=-1)

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n e"]:
        self.read += texts
        return F.normalize(torch.stack([self._meaning(text) for text in texts]), dim=-1)

    def _meaning(self, text: str) -> Tensor:
        words = [ALIASES.get(word.strip(".,"), word.strip(".,")) for word in text.split()]
        known = [torch.tensor(COLOURS[word]) / 255 - 0.5 for word in words if word in COLOURS]
        return torch.stack(known).mean(0) if known else torch.ones(3)
