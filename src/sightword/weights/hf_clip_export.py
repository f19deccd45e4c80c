"""Our models as Hugging Face's `CLIPModel`, or the reason why they are none."""

from __future__ import annotations

import copy
from typing import Any

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer
from sightword.weights.hf_clip import ACTIVATIONS, OLD_END

_NAMES = {ours: theirs for theirs, ours in reversed(list(ACTIVATIONS.items()))}


def reason_against(model: ModelConfig) -> str | None:
    """Why `CLIPModel` cannot hold this model; None where it can.

    Its ViT always has a norm before the first block, and pools a class token; activations and eps of both
    towers are its own to choose. A learned bias of the logits it has not, which features do not feel.
    """
    image = model.image
    if image.kind != "vit" or image.stem != "patch":
        return f"Hugging Face's CLIP has a ViT with the patch stem alone, found {image.kind}, {image.stem}"
    if not image.pre_norm or image.pool != "class" or image.norm_after_pool:
        return (
            "Hugging Face's CLIP has a LayerNorm before its first block and pools a class token; this ViT has"
            f" pre_norm={image.pre_norm} and pools {image.pool}"
        )
    return text_reason_against(model)


def text_reason_against(model: ModelConfig) -> str | None:
    """Why CLIP's text tower in transformers cannot be this one; None where it can."""
    text = model.text
    if text.attention != "causal" or text.pool != "eot" or text.layers == 0 or model.project_text_bias:
        return (
            "Hugging Face's CLIP has a causal text tower that pools the end of text and is projected without"
            f" a bias; this one is {text.attention}, pools {text.pool} and has {text.layers} layers"
        )
    return None if model.project_image else "Hugging Face's CLIP projects its pooled image feature"


def config_of(model: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """`config.json`.

    Raises:
        SightwordError: the reason why `CLIPModel` cannot hold this model.
    """
    if reason := reason_against(model):
        raise SightwordError(reason)
    image = model.image
    vision = {
        "model_type": "clip_vision_model",
        "hidden_size": image.width,
        "intermediate_size": round(image.width * image.mlp_ratio),
        "num_hidden_layers": image.layers[0],
        "num_attention_heads": image.heads,
        "image_size": image.size,
        "patch_size": image.patch_size,
        "hidden_act": _NAMES[image.activation],
        "layer_norm_eps": image.eps,
        "projection_dim": model.embed,
    }
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": model.embed,
        "text_config": text_config_of(model, tokenizer),
        "vision_config": vision,
    }


def text_config_of(model: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """`text_config` of CLIP, with the ids that its tokenizer has after `swapped_for`."""
    text, swapped = model.text, swapped_for(tokenizer)
    return {
        "model_type": "clip_text_model",
        "vocab_size": tokenizer.vocab,
        "hidden_size": text.width,
        "intermediate_size": round(text.width * text.mlp_ratio),
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "max_position_embeddings": text.context,
        "hidden_act": _NAMES[text.activation],
        "layer_norm_eps": text.eps,
        "projection_dim": model.embed,
        "bos_token_id": tokenizer.sot,
        "eos_token_id": swapped[1] if swapped else tokenizer.eot,
        "pad_token_id": tokenizer.pad,
    }


def swapped_for(tokenizer: Tokenizer) -> tuple[int, int] | None:
    """Two ids to be exchanged in vocabulary and embedding: the end of text must not be 2.

    transformers takes an `eos_token_id` of 2 for a mistake of old files and pools the highest id instead
    (modeling_clip.py, CLIPTextModel). None where the end of text is another id.
    """
    return (tokenizer.eot, tokenizer.vocab - 1) if tokenizer.eot == OLD_END else None


def exchanged(tokenizer: dict[str, Any], swapped: tuple[int, int] | None) -> dict[str, Any]:
    """A `tokenizer.json` in which two ids stand for each other, wherever it names them."""
    if swapped is None:
        return tokenizer
    other = dict(zip(swapped, swapped[::-1], strict=True))
    found = copy.deepcopy(tokenizer)
    found["model"]["vocab"] = {word: other.get(id, id) for word, id in found["model"]["vocab"].items()}
    for one in found.get("added_tokens") or []:
        one["id"] = other.get(one["id"], one["id"])
    found["added_tokens"] = sorted(found.get("added_tokens") or [], key=lambda one: one["id"])
    for one in ((found.get("post_processor") or {}).get("special_tokens") or {}).values():
        one["ids"] = [other.get(id, id) for id in one["ids"]]
    if padding := found.get("padding"):
        padding["pad_id"] = other.get(padding["pad_id"], padding["pad_id"])
    return found
