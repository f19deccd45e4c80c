"""JPEG files that cost what photographs cost: cut from the two that scikit-learn ships.

`china.jpg` (a palace: fine detail everywhere) and `flower.jpg` (a flower before a blurred ground), 640 x 427
pixels, are resized, cut at random places, mirrored at random, and given the grain of a sensor, which resizing
takes away. A file of 500 x 375 pixels in ImageNet has some 110 KB, one of 640 x 480 in COCO some 160 KB;
these have 100 and 151, and `data.py` prints it.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

SHORT = 256  # pixels of the shorter side in a packed store
GRAIN = 2.0  # levels, standard deviation


def photographs(width: int, height: int, count: int, quality: int = 96) -> list[bytes]:
    """`count` JPEGs of this size; the same ones whenever they are asked for."""
    return [_jpeg(_photograph(width, height, seed), quality) for seed in range(count)]


def packed(files: list[bytes], quality: int = 85) -> list[bytes]:
    """The same pictures as a store keeps them: shorter side 256 pixels."""
    return [_jpeg(_shrunk(Image.open(io.BytesIO(file)).convert("RGB")), quality) for file in files]


def _photograph(width: int, height: int, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    image = _source(seed % 2)
    least = max(width / image.width, height / image.height)
    scale = random.uniform(least, max(least, 1.0))
    spare = np.maximum(0, np.array(image.size) - np.array([width, height]) / scale)
    left, top = random.uniform(0, spare)
    box = (left, top, left + min(image.width, width / scale), top + min(image.height, height / scale))
    image = image.resize((width, height), Image.Resampling.LANCZOS, box=box)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    grain = random.normal(0, GRAIN, (height, width, 1))
    return Image.fromarray((np.asarray(image) + grain).round().clip(0, 255).astype(np.uint8))


@cache
def _source(which: int) -> Image.Image:
    return Image.fromarray(load_sample_image(("china.jpg", "flower.jpg")[which]))


def _shrunk(image: Image.Image) -> Image.Image:
    scale = SHORT / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)  # chroma at half the resolution, as nearly all JPEGs
    return buffer.getvalue()
