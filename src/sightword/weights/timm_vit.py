"""timm's plain ViTs: state dicts, with timm's config.json beside them or a model that the user names."""

from __future__ import annotations

from typing import Any

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.weights import timm_names
from sightword.weights.clip_shapes import count, sized
from sightword.weights.foreign import Foreign
from sightword.weights.preparation import timm_of
from sightword.weights.reading import Read
from sightword.weights.renaming import Table
from sightword.weights.timm_shapes import (
    demand_plain,
    is_head,
    is_vit,
    notes_on_heads,
    pool_of,
    vit_of,
    with_class_row,
)
from sightword.weights.timm_told import ACTIVATIONS, POOLS, told

_BASES = {
    1e-6: "vit_base_patch16_224",
    1e-5: "vit_base_patch16_clip_224",
}  # by the norms' eps


def recognises(file: Read) -> bool:
    """A ViT by timm's names, and nothing around it."""
    return is_vit(file) and "mask_token" not in file.tensors


def read(file: Read) -> Foreign:
    """The encoder by our names; a classifier is left out, and said so.

    Raises:
        SightwordError: when it has options that the towers here do not have, nothing tells its heads, or
            config.json contradicts the weights.
    """
    demand_plain(file)
    file = with_class_row(file)
    width, layers = sized(file, "pos_embed", 3)[2], count(file.tensors, "blocks.")
    seen, assumed = pool_of(file)
    size = vit_of(file, 1, seen).size
    known = told(file, width, layers, size)
    pool = known.pool or seen
    if (pool == "class" and "cls_token" not in file.tensors) or (pool == "attention") != (
        seen == "attention"
    ):
        raise SightwordError(
            f"config.json says that '{file.where}' is pooled by {_theirs(pool)!r}, which its tensors cannot"
            " be; give the config.json that belongs to them"
        )
    settings: dict[str, Any] = {"activation": known.activation, "eps": known.eps, **known.preparation}
    image = vit_of(file, known.heads, pool, **settings)
    notes = [*known.notes, *([] if known.pool else assumed), *notes_on_heads(file.tensors)]
    tensors = table(ModelConfig(image=image)).inward(file.tensors, file.where)
    return Foreign("timm", file.where, ModelConfig("timm-vit", image), tensors, notes=tuple(notes))


def table(model: ModelConfig) -> Table:
    """timm's names beside ours, of the image tower alone."""
    return Table(timm_names.vit(model.image), passed=is_head)


def why_not(model: ModelConfig) -> str | None:
    """Why timm's ViT cannot be this image tower; None when it can."""
    image = model.image
    if image.kind != "vit" or image.stem != "patch":
        return f"timm's ViT has patches, not this tower's stem ({image.kind}, {image.stem})"
    if image.eps not in _BASES:
        return f"timm's LayerNorms have an eps of {' or '.join(map(str, _BASES))}, this tower's {image.eps}"
    return None


def config_of(model: ModelConfig) -> dict[str, Any]:
    """timm's `config.json`, by which `timm.create_model("local-dir:FOLDER")` builds the tower."""
    image = model.image
    args = {
        "img_size": image.size,
        "patch_size": image.patch_size,
        "embed_dim": image.width,
        "depth": image.layers[0],
        "num_heads": image.heads,
        "mlp_ratio": image.mlp_ratio,
        "class_token": image.has_class_token,
        "global_pool": _theirs(image.pool),
        "fc_norm": image.norm_after_pool,
        "pre_norm": image.pre_norm,
        "act_layer": next(theirs for theirs, ours in ACTIVATIONS.items() if ours == image.activation),
    }
    return {
        "architecture": _BASES[image.eps],
        "num_classes": 0,
        "num_features": image.width,
        "global_pool": _theirs(image.pool),
        "model_args": args,
        "pretrained_cfg": timm_of(image) | {"num_classes": 0, "fixed_input_size": True},
    }


def _theirs(pool: str) -> str:
    return next(theirs for theirs, ours in POOLS.items() if ours == pool)
