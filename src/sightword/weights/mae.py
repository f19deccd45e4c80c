"""MAE's released ViTs (arXiv 2111.06377; facebookresearch/mae, models_mae.py and models_vit.py)."""

from __future__ import annotations

from collections.abc import Mapping

from sightword.config import ImageTowerConfig, ModelConfig, Pool
from sightword.errors import SightwordError
from sightword.weights import timm_names
from sightword.weights.clip_shapes import count, sized
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
)

_HEADS = {768: 12, 1024: 16, 1280: 16}  # of its ViT-B, -L and -H, by their width (models_mae.py)
_NAMES = ("vit_base_patch16", "vit_large_patch16", "vit_huge_patch14")  # of models_vit.py, in `args.model`
_DECODER = ("decoder_", "mask_token")


def recognises(file: Read) -> bool:
    """A decoder beside the encoder, MAE's fixed positions, or settings that name a model of its code."""
    if not is_vit(file) or "architecture" in file.config:  # timm's config.json says whose it is
        return False
    args = file.about.get("args")
    named = isinstance(args, Mapping) and args.get("model") in _NAMES
    return "decoder_embed.weight" in file.tensors or named or fixed_positions(file) == "column first"


def read(file: Read) -> Foreign:
    """The encoder by our names; decoder, mask token and classifier are left out, and said so.

    Its positions are fixed sines and cosines, stored as numbers. They are read as learned ones, which gives
    the same features; training goes on to change them.

    Raises:
        SightwordError: when tensors are missing, or it is wider or narrower than all of its models.
    """
    demand_plain(file)
    image = _image(file)
    notes = [*file.notes, *notes_on_heads(file.tensors)]
    notes.append("MAE's positions are fixed; here they are learned, and begin with the same numbers")
    if "decoder_embed.weight" in file.tensors:
        notes.append("left out: MAE's decoder and mask token, no part of the features")
    tensors = table(ModelConfig(image=image)).inward(file.tensors, file.where)
    return Foreign("MAE", file.where, ModelConfig("mae-vit", image), tensors, notes=tuple(notes))


def table(model: ModelConfig) -> Table:
    """MAE's names beside ours, which are timm's."""
    pairs = timm_names.vit(model.image)
    return Table(pairs, passed=lambda name: name.startswith(_DECODER) or is_head(name))


def _image(file: Read) -> ImageTowerConfig:
    """Of its pre-training, or of its fine-tuning: the class token pooled, or (`fc_norm`) patches' mean."""
    width = sized(file, "pos_embed", 3)[2]
    heads = _HEADS.get(width) or _heads_of_like(file, width)
    if heads is None:
        raise SightwordError(
            f"'{file.where}' has MAE's names, but is {width} wide; MAE's ViTs are"
            f" {', '.join(map(str, _HEADS))} wide, and how many heads this one has cannot be seen in its"
            " tensors: name a model of the same shape, e.g. --model vit-b16"
        )
    pool: Pool = "gap" if "fc_norm.weight" in file.tensors else "class"
    return vit_of(file, heads, pool, interpolation="bicubic", **IMAGENET)


def _heads_of_like(file: Read, width: int) -> int | None:
    shape = width, (count(file.tensors, "blocks."),)
    like = file.like
    return like.heads if like is not None and (like.width, like.layers) == shape else None
