"""SLIP's training transforms and data set as its released code composes them from torchvision and PIL.

From facebookresearch/SLIP: `main.py` (the CLIP view and the loader), `datasets.py` (the strong view, what a
sample is) and `utils.py` (the blur). Needs torchvision, which `torchvision_schemas.load_torchvision` loads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import Dataset

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
Transform = Callable[[Image.Image], Tensor]


@dataclass
class Blur:
    """PIL's Gaussian blur, its radius drawn by Python's `random` within these bounds."""

    low: float
    high: float

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(self.low, self.high)))


def clip_view(size: int = 224) -> Any:
    """What meets a caption; a torchvision `Compose`."""
    from torchvision import transforms  # type: ignore[import-not-found]

    crop = transforms.RandomResizedCrop(size, scale=(0.5, 1.0))
    return transforms.Compose([crop, transforms.ToTensor(), transforms.Normalize(mean=MEAN, std=STD)])


def strong_view(size: int = 224, sigma: tuple[float, float] = (0.1, 2.0)) -> Any:
    """What SimCLR sees; a torchvision `Compose`."""
    from torchvision import transforms

    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.08, 1.0)),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([Blur(*sigma)], p=0.5),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=MEAN, std=STD),
        ]
    )


@dataclass
class FilesDataset(Dataset[tuple[Any, ...]]):
    """Pictures in files of a folder, as SLIP reads CC3M: opened by PIL, converted, three views each."""

    files: Sequence[Path]
    captions: Sequence[str]
    plain: Transform
    strong: Transform
    tokenizer: Callable[[str], Any]

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        with self.files[index].open("rb") as file:
            image = Image.open(file).convert("RGB")
        words = self.tokenizer(self.captions[index])
        return self.plain(image), words, self.strong(image), self.strong(image)

    def __len__(self) -> int:
        return len(self.files)
