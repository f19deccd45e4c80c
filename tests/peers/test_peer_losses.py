"""Our losses against what the released codes of SLIP, MAE and open_clip answered (see record_losses.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from sightword import losses
from sightword.masking import count_hidden, patchify
from sightword.words import Masking

FILE = Path(__file__).with_name("losses.safetensors")


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    with safe_open(FILE, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)


def unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("slip.clip", lambda image, text, scale: losses.info_nce(unit(image), unit(text), scale)),
        ("slip.simclr", lambda a, b: losses.nt_xent(a, b, 0.1)),
        ("open_clip.clip", losses.info_nce),
        ("open_clip.siglip", losses.sigmoid_pairs),
    ],
)
def test_contrast_and_its_gradient_agree(
    recorded: dict[str, Tensor], name: str, loss: Callable[..., Tensor]
) -> None:
    prefix = f"{name}/in/"
    inputs = {k.removeprefix(prefix): v for k, v in recorded.items() if k.startswith(prefix)}
    leaves = {key: value.clone().requires_grad_() for key, value in inputs.items()}
    assert leaves
    found = loss(**leaves)
    found.backward()
    torch.testing.assert_close(found.detach(), recorded[f"{name}/loss"], rtol=1e-9, atol=1e-9)
    for key, leaf in leaves.items():
        torch.testing.assert_close(leaf.grad, recorded[f"{name}/grad/{key}"], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("name", "normalise"), [("mae.plain", False), ("mae.normalised", True)])
def test_reconstruction_and_its_gradient_agree(
    recorded: dict[str, Tensor], name: str, normalise: bool
) -> None:
    predicted = recorded[f"{name}/in/predicted"].clone().requires_grad_()
    patches = patchify(recorded["mae/in/images"], 4)
    torch.testing.assert_close(patches, recorded["mae/patches"], rtol=0, atol=0)
    found = losses.reconstruction(predicted, patches, recorded["mae/in/mask"].bool(), normalise)
    found.backward()
    torch.testing.assert_close(found.detach(), recorded[f"{name}/loss"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(predicted.grad, recorded[f"{name}/grad/predicted"], rtol=1e-8, atol=1e-9)


def test_as_many_patches_are_hidden_as_by_mae(recorded: dict[str, Tensor]) -> None:
    for (positions, ratio), hidden in zip(
        recorded["mae/counts"].tolist(), recorded["mae/hidden"].tolist(), strict=True
    ):
        assert count_hidden(Masking(ratio), int(positions)) == hidden


def test_the_recording_says_where_it_comes_from() -> None:
    with safe_open(FILE, "pt") as file:
        assert set(file.metadata()) == {"slip", "mae", "open_clip"}
