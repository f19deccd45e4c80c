from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from photos import photo
from PIL import Image

from sightword.errors import SightwordError
from sightword.views.evaluation import Preparation, centre, squashed

SHAPES = [(64, 64), (100, 61), (61, 100), (300, 41), (7, 5), (32, 32), (33, 32)]


def photos() -> list[np.ndarray]:
    return [photo(*shape, seed) for seed, shape in enumerate(SHAPES)]


def torchvision_like(image: np.ndarray, size: int, resize: int, kernel: Image.Resampling) -> np.ndarray:
    """`Resize(resize)` then `CenterCrop(size)` on a PIL picture, by torchvision's documentation."""
    rows, columns = image.shape[:2]
    if columns <= rows:
        width, height = resize, int(resize * rows / columns)
    else:
        width, height = int(resize * columns / rows), resize
    picture = Image.fromarray(image).resize((width, height), kernel)
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return np.asarray(picture.crop((left, top, left + size, top + size)))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "resize"), [(32, None), (32, 37)])
def test_centre_is_torchvisions_on_pil(
    size: int, resize: int | None, interpolation: Literal["bilinear", "bicubic"]
) -> None:
    images = photos()
    kernel = Image.Resampling[interpolation.upper()]
    mine = centre(images, size, resize, interpolation).permute(0, 2, 3, 1).numpy()
    theirs = np.stack([torchvision_like(image, size, resize or size, kernel) for image in images])
    away = np.abs(mine.astype(int) - theirs)
    assert away.max() <= 3  # which direction is resized first differs for some shapes
    assert away.mean() < 0.2


def test_a_picture_is_the_same_alone_and_in_a_batch() -> None:
    images = photos()
    alone = torch.cat([centre([image], 32) for image in images])
    assert torch.equal(alone, centre(images, 32))
    stacked = np.stack([images[0], images[0][::-1]])
    assert torch.equal(centre(stacked, 32), centre(list(stacked), 32))
    assert torch.equal(centre(torch.from_numpy(stacked), 32), centre(list(stacked), 32))


def test_a_picture_of_the_right_size_is_untouched() -> None:
    image = photos()[5]
    assert np.array_equal(centre([image], 32)[0].permute(1, 2, 0).numpy(), image)


def test_no_pictures_and_a_crop_that_cannot_be() -> None:
    assert centre([], 32).shape == (0, 3, 32, 32)
    with pytest.raises(SightwordError, match="resize >= 32"):
        centre(photos(), 32, 31)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_squashed_is_torchvisions_on_pil(interpolation: Literal["bilinear", "bicubic"]) -> None:
    images, kernel = photos(), Image.Resampling[interpolation.upper()]
    mine = squashed(images, 32, interpolation).permute(0, 2, 3, 1).numpy()
    theirs = np.stack([np.asarray(Image.fromarray(image).resize((32, 32), kernel)) for image in images])
    away = np.abs(mine.astype(int) - theirs)
    assert away.max() <= 3
    assert away.mean() < 0.2


def test_squashed_keeps_what_fits_and_takes_nothing() -> None:
    image = photos()[5]
    assert np.array_equal(squashed([image], 32)[0].permute(1, 2, 0).numpy(), image)
    assert squashed([], 32).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_preparation_does_what_it_says(interpolation: Literal["bilinear", "bicubic"]) -> None:
    images, by = photos(), f"{interpolation}, antialiased"
    middle, whole = Preparation(32, interpolation), Preparation(32, interpolation, "squash")
    assert torch.equal(middle(images, 37), centre(images, 32, 37, interpolation))
    assert torch.equal(middle(images), centre(images, 32, None, interpolation))
    assert torch.equal(whole(images, 37), squashed(images, 32, interpolation))
    assert middle.record(37) == {"resize": 37, "crop": 32, "interpolation": by}
    assert whole.record(37) == {"squash": 32, "interpolation": by}
    assert (middle.shorter(37), middle.shorter(), whole.shorter(37)) == (37, 32, 32)
