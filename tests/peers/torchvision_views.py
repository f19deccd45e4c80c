"""What the real torchvision and PIL do: parameters drawn, single operations, statistics of finished views.

`record_views.py` stores the answers; test_peer_views.py asks again where torchvision loads.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import permutations
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image, ImageFilter
from slip_transforms import MEAN, STD, clip_view, strong_view
from torch import Tensor

from sightword.views.drawn import Drawn
from sightword.words import View

ROWS, COLUMNS = 375, 500  # of the picture whose crops are drawn
SIZE = 36  # pixels of stored views
SIGMA = (0.1 * SIZE / 224, 2.0 * SIZE / 224)  # SLIP's blur in proportion, as ours
STEPS = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")
ORDERS = tuple(permutations(STEPS))
COUNTED = ("did ", "jittered", "order")
CROP = (5, 9, 51, 70)  # top, left, height, width
CHAIN = (
    ("adjust_saturation", 1.31),
    ("adjust_hue", -0.07),
    ("adjust_brightness", 0.83),
    ("adjust_contrast", 1.22),
)
OPERATIONS: dict[str, tuple[tuple[str, float], ...]] = {
    "crop": (),
    "brightness": (("adjust_brightness", 1.37),),
    "contrast": (("adjust_contrast", 0.63),),
    "saturation": (("adjust_saturation", 1.4),),
    "hue": (("adjust_hue", 0.1),),
    "hue back": (("adjust_hue", -0.043),),
    "chain": CHAIN,
    "gray": (("gray", 0.0),),
    "blur, faint": (("blur", 0.3),),
    "blur": (("blur", 1.1),),
    "blur, strong": (("blur", 2.0),),
    "solarize": (("solarize", 128.0),),
}


def functional() -> Any:
    import torchvision.transforms.functional as found  # type: ignore[import-not-found]

    return found


@contextmanager
def watched() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """The operations that torchvision's transforms call while this lasts, instead of doing them."""
    calls: list[tuple[str, tuple[Any, ...]]] = []
    blank = Image.new("RGB", (2, 2))

    def noting(name: str) -> Callable[..., Any]:
        def call(image: Image.Image, *rest: Any, **_: Any) -> Image.Image:
            calls.append((name, rest))
            return blank

        return call

    def blur(radius: float) -> Any:
        calls.append(("blur", (radius,)))
        return ImageFilter.BoxBlur(0)

    with ExitStack() as stack:
        for name in (*STEPS, "resized_crop", "rgb_to_grayscale", "hflip", "solarize"):
            stack.enter_context(mock.patch.object(functional(), name, noting(name)))
        stack.enter_context(mock.patch.object(ImageFilter, "GaussianBlur", blur))
        yield calls


def drawn(count: int, seed: int) -> dict[str, Tensor]:
    """What chance decides in so many runs of SLIP's two views: a number for each time that it decides one.

    `order` and what is done or not are counted.
    """
    torch.manual_seed(seed)
    random.seed(seed)
    image = Image.new("RGB", (COLUMNS, ROWS))
    found: dict[str, list[float]] = {}
    for prefix, transform in (("clip", clip_view()), ("strong", strong_view())):
        for _ in range(count):
            with watched() as calls:
                transform(image)
            for name, value in told(calls):
                found.setdefault(f"{prefix}/{name}", []).append(value)
    return {name: torch.tensor(values, dtype=kind_of(name)) for name, values in found.items()}


def kind_of(name: str) -> torch.dtype:
    """Whole numbers for what is counted."""
    return torch.uint8 if any(word in name for word in COUNTED) else torch.float32


def told(calls: list[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[str, float]]:
    """One run's calls as named numbers."""
    names = [name for name, _ in calls]
    for name, values in calls:
        if name == "resized_crop":
            yield from placed(*values[:4])
        elif name in (*STEPS, "blur"):
            yield name.removeprefix("adjust_"), float(values[0])
    steps = tuple(name for name in names if name in STEPS)
    yield "jittered", float(bool(steps))
    if steps:
        yield "order", float(ORDERS.index(steps))
    for name in ("rgb_to_grayscale", "hflip", "blur"):
        yield f"did {name}", float(name in names)


def placed(top: int, left: int, height: int, width: int) -> Iterator[tuple[str, float]]:
    """A crop as numbers that do not depend on each other."""
    yield "share", height * width / (ROWS * COLUMNS)
    yield "log ratio", math.log(width / height)
    yield "down", (top + 0.5) / (ROWS - height + 1)
    yield "across", (left + 0.5) / (COLUMNS - width + 1)


def operated(pictures: np.ndarray) -> dict[str, Tensor]:
    """Every one of `OPERATIONS` after the same crop and resize: (n, h, w, 3) to (n, 3, SIZE, SIZE)."""
    return {
        name: torch.stack([done(Image.fromarray(picture), CROP, SIZE, steps) for picture in pictures])
        for name, steps in OPERATIONS.items()
    }


def done(
    image: Image.Image, crop: tuple[int, ...], size: int, steps: tuple[tuple[str, float], ...]
) -> Tensor:
    """Crop, resize and these steps on one PIL picture, by torchvision and PIL: bytes (3, size, size)."""
    top, left, height, width = crop
    image = functional().resized_crop(image, top, left, height, width, [size, size])
    for name, amount in steps:
        if name == "gray":
            image = functional().rgb_to_grayscale(image, num_output_channels=3)
        elif name == "blur":
            image = image.filter(ImageFilter.GaussianBlur(radius=amount))
        elif name == "hflip":
            image = functional().hflip(image)
        else:
            image = getattr(functional(), name)(image, amount)
    return functional().pil_to_tensor(image)


def as_drawn(image: Image.Image, view: View, what: Drawn, row: int) -> Tensor:
    """torchvision's view of this picture with our parameters of one row."""
    steps: list[tuple[str, float]] = []
    if what.jitter is not None and what.jittered[row]:
        order = ORDERS[what.jitter.order[row]]
        steps += [(step, float(what.jitter.amounts[row, STEPS.index(step)])) for step in order]
    if what.gray[row]:
        steps.append(("gray", 0.0))
    if row in what.blurred:
        steps.append(("blur", float(what.sigma[list(what.blurred).index(row)])))
    if what.solarized[row]:
        steps.append(("solarize", 128.0))
    if what.flipped[row]:
        steps.append(("hflip", 0.0))
    return done(image, tuple(what.crops[row].tolist()), view.size, tuple(steps))


def finished(pictures: np.ndarray, count: int, seed: int) -> dict[str, Tensor]:
    """Statistics of so many views of each picture by SLIP's transforms; see `statistics`."""
    torch.manual_seed(seed)
    random.seed(seed)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    found = {}
    for name, transform in (("clip", clip_view(SIZE)), ("strong", strong_view(SIZE, SIGMA))):
        for number, picture in enumerate(pictures):
            image = Image.fromarray(picture)
            views = torch.stack([transform(image) for _ in range(count)])
            found[f"{name}/{number}"] = statistics((views * std + mean) * 255)
    return found


def statistics(views: Tensor) -> Tensor:
    """(2, 16): over views (b, 3, s, s) in levels, the mean of each number and its standard error.

    Of each channel: mean, standard deviation, quantiles .1, .5 and .9; of all: mean step to the next pixel.
    """
    flat = views.double().flatten(2)
    levels = torch.quantile(flat, torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64), dim=2)
    steps = views.double().diff(dim=2).abs().mean((1, 2, 3)) + views.double().diff(dim=3).abs().mean(
        (1, 2, 3)
    )
    numbers = torch.cat([flat.mean(2), flat.std(2), *levels, steps[:, None]], dim=1)
    return torch.stack([numbers.mean(0), numbers.std(0) / len(views) ** 0.5]).float()
