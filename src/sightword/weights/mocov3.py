"""MoCo v3's released ViTs and ResNet-50 (arXiv 2104.02057; facebookresearch/moco-v3, vits.py, builder.py)."""

from __future__ import annotations

from dataclasses import replace

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.weights import timm_names, timm_resnet
from sightword.weights.foreign import Foreign
from sightword.weights.preparation import IMAGENET
from sightword.weights.reading import Read
from sightword.weights.renaming import Table
from sightword.weights.timm_shapes import (
    demand_plain,
    fixed_positions,
    is_head,
    is_vit,
    notes_on_heads,
    vit_of,
    with_counters,
)

_BASE, _OTHERS = "base_encoder.", ("momentum_encoder.", "predictor.")
_HEADS = 12  # of its ViT-S and ViT-B alike (vits.py); timm's own ViT-S has 6


def recognises(file: Read) -> bool:
    """Its two encoders, or its fixed positions, which lie otherwise than MAE's."""
    if any(name.startswith(_BASE) for name in file.tensors):
        return True
    return "architecture" not in file.config and fixed_positions(file) == "row first"


def read(file: Read) -> Foreign:
    """The trained encoder by our names, as its linear probe takes it (main_lincls.py).

    The momentum encoder, projector and predictor are left out, and said so. Positions are fixed, stored as
    numbers, and read as learned ones, which gives the same features; training goes on to change them.

    Raises:
        SightwordError: when tensors are missing, or it is of another model.
    """
    own = with_counters(_encoder(file))
    notes = [*file.notes, *_notes_on_others(file), *notes_on_heads(own.tensors)]
    if not is_vit(own):
        found = timm_resnet.read(replace(own, notes=()))
        model = replace(found.model, name="mocov3-resnet")
        return replace(found, family="MoCo v3", model=model, notes=tuple(notes))
    demand_plain(own)
    image = vit_of(own, _HEADS, "class", **IMAGENET)
    notes.append("MoCo v3's positions are fixed; here they are learned, and begin with the same numbers")
    tensors = table(ModelConfig(image=image)).inward(own.tensors, own.where)
    return Foreign("MoCo v3", file.where, ModelConfig("mocov3-vit", image), tensors, notes=tuple(notes))


def table(model: ModelConfig) -> Table:
    """The names of its ViT beside ours, which are timm's; without "base_encoder."."""
    return Table(
        timm_names.vit(model.image),
        passed=lambda name: is_head(name) or name.endswith("num_batches_tracked"),
    )


def _encoder(file: Read) -> Read:
    kept = {n.removeprefix(_BASE): t for n, t in file.tensors.items() if n.startswith(_BASE)}
    strange = [n for n in file.tensors if kept and not n.startswith((_BASE, *_OTHERS))]
    if strange:
        raise SightwordError(
            f"'{file.where}' has MoCo v3's {_BASE}, but also {min(strange)}, which is not known there;"
            " docs/interop.md lists what can be read"
        )
    return replace(file, tensors=kept) if kept else file


def _notes_on_others(file: Read) -> list[str]:
    found = [part for part in _OTHERS if any(name.startswith(part) for name in file.tensors)]
    return [f"left out: MoCo v3's {' and '.join(p.rstrip('.') for p in found)}"] if found else []
