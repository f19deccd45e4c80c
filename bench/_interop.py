"""What the rooms of `interop.py` share: models of both sides on the same pictures and sentences."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from towers_of import TEXTS, Towers, loaded, stir

from sightword.weights.families import recognised
from sightword.weights.foreign import Foreign
from sightword.weights.reading import read

Tensors = Mapping[str, Tensor]
MODEL = "open_clip_model.safetensors"


@dataclass(frozen=True)
class Case:
    """One comparison.

    family: whose weights or format.
    direction: "in", theirs read by us, or "out", ours built by them.
    architecture: its name on the side where it began.
    run: computes both sides' features; `Sources` are folders of code that no package holds.
    """

    family: str
    direction: str
    architecture: str
    run: Callable[[Path | None], Features]


@dataclass(frozen=True)
class Features:
    """Of both sides, of length 1 where they meet captions; no text where there is no text tower.

    how: what a reader should know, such as the way of an export.
    """

    image: tuple[Tensor, Tensor]
    text: tuple[Tensor, Tensor] | None
    library: str
    how: str = ""


@contextmanager
def folder() -> Iterator[Path]:
    """For files that are read a moment later."""
    with tempfile.TemporaryDirectory(prefix="interop-") as made:
        yield Path(made)


def random_weights(model: nn.Module) -> nn.Module:
    """Random also where a network begins with zeros and ones."""
    stir(model, scale=0.02)
    return model.eval()


def through_a_file(tensors: Tensors, name: str, beside: Mapping[str, str], **about: Any) -> Foreign:
    """Written as their library writes it, and read as `--pretrained` does.

    Args:
        tensors: a state dict.
        name: of the file; safetensors, or a checkpoint of torch.
        beside: texts of further files by name.
        about: what else the checkpoint holds.
    """
    with folder() as place:
        for file, text in beside.items():
            (place / file).write_text(text, encoding="utf-8")
        if name.endswith(".safetensors"):
            save_file({k: v.contiguous().clone() for k, v in tensors.items()}, place / name, {"format": "pt"})
        else:
            torch.save({"state_dict": dict(tensors), **about}, place / name)
        return recognised(read(place / name))


def slip_checkpoint(tensors: Tensors, model: str) -> Foreign:
    """As SLIP's main.py saves it."""
    spread = {f"module.{name}": tensor for name, tensor in tensors.items()}
    return through_a_file(spread, "checkpoint.pt", {}, epoch=25, args=Namespace(model=model, lr=3e-3))


def of_ours(foreign: Foreign, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Features of pictures and, with a text tower, of `TEXTS`."""
    made: Towers = loaded(foreign)
    return made.image(images), made.text(TEXTS) if foreign.has_text else None
