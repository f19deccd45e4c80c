"""Hugging Face's `VisionTextDualEncoderModel` of a ViT and CLIP's text tower, as SLIP's pairs: both ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer
from sightword.weights import hf_clip, hf_clip_export, hf_names, hf_vit
from sightword.weights.clip_names import scale
from sightword.weights.clip_shapes import sized
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read
from sightword.weights.renaming import Pair, Table, same

# transformers 4 keeps CLIP's text tower within a model of its own name; 5 writes the name once and reads both
_VISION, _TEXT, _ONCE = "vision_model.", "text_model.text_model.", "text_model."
_POOLER = f"{_VISION}pooler."
_PROJECTED = "text_projection.weight"


def recognises(file: Read) -> bool:
    """A ViT's class token within a pair with projections."""
    return {f"{_VISION}embeddings.cls_token", _PROJECTED} <= file.tensors.keys()


def read(file: Read) -> Foreign:
    """The weights by our names, with heads, activations and eps from config.json.

    Raises:
        SightwordError: when the text tower is not CLIP's or the ViT's pooler changes what it gets, without
            config.json, or when it and the tensors contradict each other.
    """
    said = _side(file, "text")
    if said.get("model_type") != "clip_text_model":
        raise SightwordError(
            f"'{file.where}' is a VisionTextDualEncoderModel whose text tower is {said.get('model_type')!r}"
            " (text_config.model_type in config.json); CLIP's ('clip_text_model') is the one that can be read"
        )
    _demand_plain_pooler(file)
    image = _image(file)
    words = replace(file, tensors={_once(name): tensor for name, tensor in file.tensors.items()})
    text = hf_clip.said_of(file.config, "text", hf_clip.TEXT)
    tokenizer, embed = hf_clip.tokenizer_of(words, text), sized(file, _PROJECTED, 2)[0]
    model = ModelConfig("hf-dual", image.model.image, hf_clip.text_of(words, text), embed)
    twice = {_twice(name): tensor for name, tensor in words.tensors.items()}
    tensors = table(model).inward(twice, file.where)
    return Foreign("Hugging Face's dual encoder", file.where, model, tensors, tokenizer, image.notes)


def table(model: ModelConfig, swapped: tuple[int, int] | None = None) -> Table:
    """transformers' names beside ours; its ViT's pooler, which hands on what it gets, is not among them.

    Args:
        model: shapes and hyper-parameters.
        swapped: two ids that stand for each other in their vocabulary; see `hf_clip_export.swapped_for`.
    """
    pairs = [
        *_within(hf_vit.table(model).pairs, "", _VISION),
        *_within(hf_names.text(model.text.layers, swapped), _ONCE, _TEXT),
        same("joint.image.weight", "visual_projection.weight"),
        same("joint.text.weight", _PROJECTED),
        *scale(),
    ]
    return Table(pairs, passed=lambda name: name.startswith(_POOLER) or name.endswith(".position_ids"))


def pooler_of(model: ModelConfig, prefix: str = _VISION) -> dict[str, Tensor]:
    """The tensors of a pooler that changes nothing; `config_of` takes its activation away."""
    width = model.image.width
    names = f"{prefix}pooler.dense.weight", f"{prefix}pooler.dense.bias"
    return dict(zip(names, (torch.eye(width), torch.zeros(width)), strict=True))


def pooler_settings(model: ModelConfig) -> dict[str, Any]:
    """What `ViTModel`'s configuration says of such a pooler."""
    return {"pooler_act": "linear", "pooler_output_size": model.image.width}


def why_not(model: ModelConfig) -> str | None:
    """Why a ViT and CLIP's text tower of transformers cannot be this model; None when they can."""
    return hf_vit.why_not(model) or hf_clip_export.text_reason_against(model)


def config_of(model: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """`config.json` of a model that `why_not` has nothing against."""
    return {
        "architectures": ["VisionTextDualEncoderModel"],
        "model_type": "vision-text-dual-encoder",
        "projection_dim": model.embed,
        "vision_config": hf_vit.config_of(model) | pooler_settings(model),
        "text_config": hf_clip_export.text_config_of(model, tokenizer),
    }


def _within(pairs: Iterable[Pair], old: str, new: str) -> list[Pair]:
    """The same pairs, their names beginning with `new` in the place of `old`."""
    return [replace(one, theirs=tuple(new + name.removeprefix(old) for name in one.theirs)) for one in pairs]


def _once(name: str) -> str:
    return _ONCE + name.removeprefix(_TEXT) if name.startswith(_TEXT) else name


def _twice(name: str) -> str:
    return _TEXT + name.removeprefix(_ONCE) if name.startswith(_ONCE) else name


def _image(file: Read) -> Foreign:
    """The ViT by itself."""
    vit = {
        name.removeprefix(_VISION): tensor
        for name, tensor in file.tensors.items()
        if name.startswith(_VISION) and not name.startswith(_POOLER)
    }
    return hf_vit.read(replace(file, tensors=vit, config=_side(file, "vision")))


def _side(file: Read, part: str) -> Mapping[str, Any]:
    """What config.json says of one tower."""
    found = file.config.get(f"{part}_config")
    return found if isinstance(found, Mapping) else {}


def _demand_plain_pooler(file: Read) -> None:
    """Its features go through the pooler, which the towers here do not have."""
    weight, bias = (file.tensors.get(f"{_POOLER}dense.{kind}") for kind in ("weight", "bias"))
    said = _side(file, "vision").get("pooler_act", "tanh")
    if weight is None or bias is None:
        raise SightwordError(f"'{file.where}' has no {_POOLER}dense, without which its features are unknown")
    plain = weight.dim() == 2 and torch.equal(weight.float(), torch.eye(*weight.shape)) and not bias.any()
    if said != "linear" or not plain:
        raise SightwordError(
            f"'{file.where}' has a ViT whose pooler changes the class token (pooler_act {said!r}), which the"
            " towers here do not; only one that hands it on can be read"
        )
