"""The patch embedding takes bytes: against a convolution over normalised pictures, in every precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sightword.config import ImageTowerConfig
from sightword.towers.build import build_image
from sightword.towers.stems import PatchStem, patches

MEANS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "white": ((1.0, 1.0, 1.0), (0.25, 0.25, 0.25)),
}


def given(name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    mean, std = MEANS[name]
    return torch.tensor(mean, dtype=dtype), torch.tensor(std, dtype=dtype)


def pictures(b: int, height: int, width: int) -> Tensor:
    """Bytes that vary as those of photographs do, about their channels' means."""
    drawn = torch.Generator().manual_seed(0)
    scale, centre = torch.tensor([58.0, 57, 57]).view(3, 1, 1), torch.tensor([124.0, 116, 104]).view(3, 1, 1)
    return (torch.randn(b, 3, height, width, generator=drawn) * scale + centre).clamp(0, 255).byte()


def convolved(stem: PatchStem, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """As the paper has it, in the stem's precision."""
    normal = (images / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    weight = stem.weight.view(-1, 3, stem.size, stem.size)
    return F.conv2d(normal, weight, stem.bias, stride=stem.size).flatten(2).transpose(1, 2)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("size", [4, 14])
def test_it_is_a_convolution_of_the_normalised_picture(size: int, name: str, bias: bool) -> None:
    """Tokens and gradients, in float64."""
    torch.manual_seed(0)
    stem, images = PatchStem(size, 20, bias).double(), pictures(2, 2 * size, 3 * size)
    mean, std = given(name, torch.float64)
    gradients = []
    for tokens in (stem(images, mean, std), convolved(stem, images.double(), mean, std)):
        stem.zero_grad()
        tokens.cos().sum().backward()
        gradients.append([tokens.detach(), *(p.grad.clone() for p in stem.parameters())])
    assert len(gradients[0]) == 2 + bias
    for mine, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bfloat16"])
def test_its_error_is_not_larger_than_that_of_normalised_pixels(bf16: bool, name: str) -> None:
    """Root mean square against float64, beside the map of pixels that were normalised in float32 first."""
    torch.manual_seed(0)
    stem, images = PatchStem(16, 192).requires_grad_(False), pictures(8, 64, 64)
    mean, std = given(name, torch.float32)
    normal = (images * (1 / (255 * std)).view(3, 1, 1)) - (mean / std).view(3, 1, 1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        mine = stem(images, mean, std)
        before = F.linear(patches(normal, 16), stem.weight, stem.bias)
    assert mine.dtype == before.dtype == (torch.bfloat16 if bf16 else torch.float32)
    truth = convolved(stem.double(), images.double(), mean.double(), std.double())
    errors = [float((x.double() - truth).square().mean().sqrt()) for x in (mine, before)]
    assert errors[0] <= 1.1 * errors[1], errors


def test_in_bfloat16_bytes_are_exact_and_normalised_pixels_are_not() -> None:
    """What rounding the factors costs, without that of the sum: less than before, by the pixels' share."""
    torch.manual_seed(0)
    stem, images = PatchStem(16, 64, bias=False).double().requires_grad_(False), pictures(8, 64, 64)
    mean, std = given("imagenet", torch.float64)
    pixels = patches((images / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1), 16)
    centred = patches(images.double() - (255 * mean).round().view(3, 1, 1), 16)
    scaled = (stem.weight.view(64, 3, -1) / (255 * std).view(3, 1)).flatten(1)
    assert torch.equal(_rounded(centred), centred)

    def error(pixels: Tensor, weight: Tensor) -> float:
        return float((_rounded(pixels) @ _rounded(weight).T - pixels @ weight.T).square().mean().sqrt())

    assert error(centred, scaled) < 0.85 * error(pixels, stem.weight)


def _rounded(x: Tensor) -> Tensor:
    return x.bfloat16().double()


@pytest.mark.parametrize("hides", [False, True])
def test_a_tower_reads_its_own_mean_and_deviation(hides: bool) -> None:
    """A tower over normalised pictures, computed patch by patch, gives the same first tokens."""
    mean, std = MEANS["half"]
    config = ImageTowerConfig(size=32, width=24, layers=(1,), heads=3, patch_size=8, mean=mean, std=std)
    tower, images = build_image(config).double(), pictures(3, 32, 32)
    hidden = torch.rand(3, 16, generator=torch.Generator().manual_seed(1)).argsort(1) < 12 if hides else None
    found, kept = tower._tokens(images, hidden, replace=False)
    wanted = convolved(tower.stem, images.double(), tower.mean, tower.std) + tower.positions((4, 4))
    if hides:
        wanted = wanted.gather(1, kept[..., None].expand(-1, -1, 24))
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=0)
