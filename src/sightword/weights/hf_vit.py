"""Hugging Face's `ViTModel` and `ViTForImageClassification`: both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sightword.config import ImageTowerConfig, ModelConfig
from sightword.errors import SightwordError
from sightword.weights.clip_names import norm
from sightword.weights.clip_shapes import count, side_of, sized
from sightword.weights.foreign import Foreign
from sightword.weights.hf_clip import ACTIVATIONS
from sightword.weights.places import places
from sightword.weights.plain_json import json_beside
from sightword.weights.preparation import HALVES, of_hugging_face
from sightword.weights.reading import Read
from sightword.weights.renaming import Pair, Table, blocks, fused, same, shaped

_PREFIX = "vit."  # in front of all but the head, where there is one
_PREPROCESSOR = "preprocessor_config.json"
_DROPPED = ("pooler.", "classifier.", "decoder.", "embeddings.mask_token")
_SILENT: Mapping[str, Any] = {  # what transformers takes for granted (configuration_vit.py)
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "num_attention_heads": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "image_size": 224,
    "patch_size": 16,
}
_PARTS = {
    "attn.proj": "attention.output.dense",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
_KINDS = ("weight", "bias")


def recognises(file: Read) -> bool:
    """Its embeddings, with or without "vit." in front."""
    name = "embeddings.patch_embeddings.projection.weight"
    return name in file.tensors or _PREFIX + name in file.tensors


def read(file: Read) -> Foreign:
    """The encoder by our names, with heads, activation and eps from config.json; heads are left out, and
    said so.

    Raises:
        SightwordError: without config.json, or when it and the tensors contradict each other.
    """
    if file.config.get("model_type") != "vit":
        raise SightwordError(
            f"'{file.where}' has the names of Hugging Face's ViT, and config.json beside it is of"
            f" {file.config.get('model_type')!r}; wanted that of a ViT (model_type 'vit') in the same folder"
        )
    plain = replace(file, tensors={n.removeprefix(_PREFIX): t for n, t in file.tensors.items()})
    image, notes = _image(plain, {**_SILENT, **file.config})
    left = sorted({part.rstrip(".") for name in plain.tensors for part in _DROPPED if name.startswith(part)})
    notes += [f"left out: {', '.join(left)}, no part of the features"] if left else []
    tensors = table(ModelConfig(image=image)).inward(plain.tensors, file.where)
    model = ModelConfig("hf-vit", image)
    return Foreign("Hugging Face's ViT", file.where, model, tensors, notes=(*file.notes, *notes))


def table(model: ModelConfig) -> Table:
    """`ViTModel`'s names beside ours."""
    image, ours = model.image, "towers.image."
    width, patch = image.width, image.patch_size
    stem, block = "embeddings.patch_embeddings.projection.", "encoder.layer.{i}."
    apart = [
        fused(
            f"{ours}blocks.{{i}}.attn.qkv.{kind}",
            *(f"{block}attention.attention.{part}.{kind}" for part in ("query", "key", "value")),
        )
        for kind in _KINDS
    ]
    each = [
        same(f"{ours}blocks.{{i}}.{a}.{kind}", f"{block}{b}.{kind}")
        for a, b in _PARTS.items()
        for kind in _KINDS
    ]
    pairs: list[Pair] = [
        shaped(f"{ours}stem.weight", f"{stem}weight", (width, -1), (width, 3, patch, patch)),
        same(f"{ours}stem.bias", f"{stem}bias"),
        same(f"{ours}class_token", "embeddings.cls_token"),
        places(image, "embeddings.position_embeddings"),
        *blocks(image.layers[0], *apart, *each),
        *norm(f"{ours}norm", "layernorm"),
    ]
    return Table(pairs, passed=lambda name: name.startswith(_DROPPED))


def why_not(model: ModelConfig) -> str | None:
    """Why `ViTModel` cannot be this image tower; None when it can."""
    image = model.image
    if image.kind != "vit" or image.stem != "patch" or not image.stem_bias or image.pre_norm:
        return f"Hugging Face's ViT has patches and no norm before its blocks; this tower is {image.kind}"
    if image.pool != "class" or image.norm_after_pool:
        return f"Hugging Face's ViT pools the class token after its last norm; this one pools by {image.pool}"
    return None


def config_of(model: ModelConfig) -> dict[str, Any]:
    """`config.json` of a tower that `why_not` has nothing against."""
    image = model.image
    names = {ours: theirs for theirs, ours in reversed(list(ACTIVATIONS.items()))}
    return {
        "architectures": ["ViTModel"],
        "model_type": "vit",
        "hidden_size": image.width,
        "intermediate_size": round(image.width * image.mlp_ratio),
        "num_hidden_layers": image.layers[0],
        "num_attention_heads": image.heads,
        "hidden_act": names[image.activation],
        "layer_norm_eps": image.eps,
        "image_size": image.size,
        "patch_size": image.patch_size,
        "num_channels": 3,
        "qkv_bias": True,
    }


def _image(file: Read, said: Mapping[str, Any]) -> tuple[ImageTowerConfig, list[str]]:
    name = "embeddings.position_embeddings"
    width, _, patch, _ = sized(file, "embeddings.patch_embeddings.projection.weight", 4)
    depth, side = count(file.tensors, "encoder.layer."), side_of(file, sized(file, name, 3)[1] - 1, name)
    hidden = sized(file, "encoder.layer.0.intermediate.dense.weight", 2)[0]
    found = {"hidden_size": width, "num_hidden_layers": depth, "intermediate_size": hidden}
    found |= {"patch_size": patch, "image_size": patch * side}
    _demand(said, found, width)
    image = ImageTowerConfig(
        size=patch * side,
        width=width,
        layers=(depth,),
        heads=said["num_attention_heads"],
        patch_size=patch,
        activation=ACTIVATIONS[said["hidden_act"]],
        eps=float(said["layer_norm_eps"]),
        mlp_ratio=hidden / width,
        resize="squash",
        **HALVES,
    )
    told = json_beside(file.beside, _PREPROCESSOR)
    prepared, notes = of_hugging_face(told, image.size, _PREPROCESSOR)
    if not told:
        notes.append(f"no {_PREPROCESSOR}: pictures taken to be prepared as Google's (-1 to 1, squashed)")
    return replace(image, **prepared), notes


def _demand(said: Mapping[str, Any], found: Mapping[str, Any], width: int) -> None:
    for name, value in found.items():
        if said[name] != value:
            raise SightwordError(
                f"config.json says that {name} is {said[name]}, but the weights have {value}; give the file"
                " that belongs to them"
            )
    heads = said["num_attention_heads"]
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise SightwordError(f"config.json: num_attention_heads is {heads!r}, which does not divide {width}")
    if said["hidden_act"] not in ACTIVATIONS:
        raise SightwordError(
            f"config.json: hidden_act is {said['hidden_act']!r}; wanted one of {', '.join(ACTIVATIONS)}"
        )
