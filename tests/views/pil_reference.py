"""SLIP's augmentation as its authors run it, one picture at a time on PIL: what our batches are held against.

Written from the documented behaviour of torchvision's transforms on PIL pictures. It takes the same random
numbers and turns them into parameters in its own way, with Python's own arithmetic.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from sightword.randomness import stream, uniform
from sightword.words import Jitter, View


def view_of(image: Image.Image, view: View, seed: int, sample: int, epoch: int) -> Image.Image:
    """One view by the order of SLIP's code: crop, jitter, gray, blur, (MoCo v3's) solarize, flip."""

    def draw(purpose: str, count: int) -> list[float]:
        return uniform(seed, stream(purpose, view), [sample], epoch, count)[0].tolist()

    top, left, height, width = crop_box(image.height, image.width, view, draw("crop", 22))
    box = (left, top, left + width, top + height)
    image = image.crop(box).resize((view.size, view.size), Image.Resampling.BILINEAR)
    flip, jittered, gray, blurred, solarized = draw("chance", 5)
    if view.jitter is not None and jittered < view.jitter.p:
        image = jitter(image, view.jitter, draw("jitter", 5))
    if gray < view.grayscale:
        image = image.convert("L").convert("RGB")
    if blurred < view.blur:
        sigma = view.sigma[0] + (view.sigma[1] - view.sigma[0]) * draw("sigma", 1)[0]
        image = image.filter(ImageFilter.GaussianBlur(radius=sigma))
    if solarized < view.solarize:
        image = ImageOps.solarize(image)
    return ImageOps.mirror(image) if flip < view.flip else image


def crop_box(rows: int, columns: int, view: View, draws: list[float]) -> tuple[int, int, int, int]:
    """RandomResizedCrop.get_params: top, left, height, width."""
    low, high = math.log(view.ratio[0]), math.log(view.ratio[1])
    for attempt in range(10):
        area = rows * columns * (view.scale[0] + (view.scale[1] - view.scale[0]) * draws[attempt])
        ratio = math.exp(low + (high - low) * draws[10 + attempt])
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= columns and 0 < height <= rows:
            top = math.floor(draws[20] * (rows - height + 1))
            left = math.floor(draws[21] * (columns - width + 1))
            return top, left, height, width
    width, height = columns, rows
    if columns / rows < view.ratio[0]:
        height = round(columns / view.ratio[0])
    elif columns / rows > view.ratio[1]:
        width = round(rows * view.ratio[1])
    return (rows - height) // 2, (columns - width) // 2, height, width


def jitter(image: Image.Image, how: Jitter, draws: list[float]) -> Image.Image:
    """ColorJitter: four steps in one of their 24 orders."""
    order = list(itertools.permutations(range(4)))[math.floor(draws[0] * 24)]
    strengths = (how.brightness, how.contrast, how.saturation)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for step in order:
        if step == 3 and how.hue > 0:
            image = turn_hue(image, how.hue * (2 * draws[4] - 1))
        elif step < 3:
            low, high = max(0.0, 1 - strengths[step]), 1 + strengths[step]
            image = enhancers[step](image).enhance(low + (high - low) * draws[1 + step])
    return image


def turn_hue(image: Image.Image, turns: float) -> Image.Image:
    """torchvision's adjust_hue on PIL: 8-bit HSV, the hue's byte moved with wrap-around."""
    hue, saturation, value = image.convert("HSV").split()
    moved = (np.asarray(hue).astype(np.int64) + int(turns * 255)) % 256
    hue = Image.fromarray(moved.astype(np.uint8), "L")
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
