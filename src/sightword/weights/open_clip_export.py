"""Our models in open_clip's words: as its own towers where it has them, otherwise around a timm tower."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightword.config import Activation, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import ClipTokenizer, Tokenizer
from sightword.weights import timm_vit
from sightword.weights.open_clip_clip import table
from sightword.weights.open_clip_trunk import HEADS, LOCAL, POOLS, RESNETS, WIDTHS
from sightword.weights.renaming import Table

_TIMM_EPS = 1e-6  # of the LayerNorms of timm's ViTs
_DEPTHS = {"tiny": 12, "small": 12, "base": 12, "large": 24, "huge": 32}
_SIZES = {  # patch sizes and picture sizes for which timm has a plain ViT under its name
    "tiny": {(16, 224), (16, 384)},
    "small": {(8, 224), (16, 224), (16, 384), (32, 224), (32, 384)},
    "base": {(8, 224), (16, 224), (16, 384), (32, 224), (32, 384)},
    "large": {(14, 224), (16, 224), (16, 384), (32, 224), (32, 384)},
    "huge": {(14, 224)},
}
_TIMM_POOLS = {ours: theirs for theirs, ours in POOLS.items()}


@dataclass(frozen=True, eq=False)
class Expressed:
    """A model as open_clip builds and reads it.

    way: "open_clip", "timm by name" or "timm from this folder", for reports.
    model_cfg, preprocess_cfg: the two parts of `open_clip_config.json`.
    table: `table.outward` gives the tensors of `open_clip_model.safetensors`.
    beside: further files of the folder, by name, each to be written as JSON.
    """

    way: str
    model_cfg: dict[str, Any]
    preprocess_cfg: dict[str, Any]
    table: Table
    beside: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def expressed(
    model: ModelConfig, tokenizer: Tokenizer, bias: bool = False, folder: Path | None = None
) -> Expressed:
    """How open_clip (3.3) holds this model.

    Its own ViT and text tower share one activation (`quick_gelu`), so that a GELU ViT beside a QuickGELU text
    tower, as SLIP's, needs a tower of timm's, which always uses GELU. timm's is taken by its name where timm
    has a name for it; otherwise timm reads its arguments from `config.json` in the exported folder, whose
    place is then part of the configuration: moved, it must be changed there.

    Args:
        model: shapes and hyper-parameters of the towers.
        tokenizer: of the captions; one that is not CLIP's must lie in the folder as Hugging Face's.
        bias: the logits have a learned bias.
        folder: where the files will lie; None if that is not known, which leaves out the last way.

    Raises:
        SightwordError: the reason why it does not.
    """
    text = _text(model.text, tokenizer)
    vision, quick, way, beside = _vision(model, folder)
    config: dict[str, Any] = {"embed_dim": model.embed, "vision_cfg": vision, "text_cfg": text}
    config |= {"quick_gelu": True} if quick else {}
    config |= {"init_logit_bias": -10.0} if bias else {}
    text |= {"proj_bias": True} if model.project_text_bias else {}
    image = model.image
    prepared: dict[str, Any] = {"mean": list(image.mean), "std": list(image.std)}
    prepared |= {"interpolation": image.interpolation, "resize_mode": image.resize}
    made = table(model, trunk="timm_model_name" in vision, bias=bias)
    return Expressed(way, config, prepared, made, beside)


def reason_against(
    model: ModelConfig, tokenizer: Tokenizer, bias: bool = False, folder: Path | None = None
) -> str | None:
    """Why open_clip cannot hold this model; None where it can. See `expressed`."""
    try:
        expressed(model, tokenizer, bias, folder)
    except SightwordError as error:
        return str(error)
    return None


Way = tuple[dict[str, Any], bool, str, dict[str, dict[str, Any]]]


def _vision(model: ModelConfig, folder: Path | None) -> Way:
    """`vision_cfg`, whether activations are QuickGELU, the way, and further files."""
    image, quick = model.image, model.text.activation == "quick_gelu"
    if image.kind == "modified-resnet" and image.norm == "batch":
        return _own_resnet(image), quick, "open_clip", {}
    if not model.project_image:
        raise SightwordError("open_clip holds a pooled feature without a projection only in SigLIP's form")
    if image.kind == "standard-resnet":
        return {**_resnet(image), "timm_proj": "linear"}, quick, "timm by name", {}
    if image.kind != "vit" or image.stem != "patch":
        what = "this package's small ResNet" if image.kind == "resnet" else "a ResNet with group norm"
        what = "a ViT with a convolutional stem" if image.kind == "vit" else what
        raise SightwordError(f"neither open_clip nor timm has {what}; export to onnx or safetensors instead")
    if _is_its_own(image) and (image.activation == "quick_gelu") == quick:
        return _own_vit(image), quick, "open_clip", {}
    return _trunk(image, quick, folder)


def _own_resnet(image: ImageTowerConfig) -> dict[str, Any]:
    found: dict[str, Any] = {"image_size": image.size, "layers": list(image.layers), "width": image.width}
    return found | {"head_width": 32 * image.width // image.heads, "patch_size": None}


def _is_its_own(image: ImageTowerConfig) -> bool:
    """open_clip's ViT always has a class token, and pools it or the mean of the patches."""
    return image.pool == "class" or (image.pool == "gap" and image.class_token)


def _own_vit(image: ImageTowerConfig) -> dict[str, Any]:
    found: dict[str, Any] = {"image_size": image.size, "layers": image.layers[0], "width": image.width}
    found |= {"patch_size": image.patch_size, "head_width": image.width // image.heads}
    found |= _mlp(image.width, image.mlp_ratio) | _kwargs(image.activation, image.eps)
    found |= {} if image.pre_norm else {"no_ln_pre": True}
    found |= {} if image.pool == "class" else {"pool_type": "avg"}
    return found | ({"final_ln_after_pool": True} if image.norm_after_pool else {})


def _text(text: TextTowerConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    if text.attention != "causal" or text.pool != "eot" or text.layers == 0:
        raise SightwordError(
            f"open_clip's text tower is causal and pools the end of text; this one is {text.attention}, pools"
            f" {text.pool} and has {text.layers} layers; export to onnx or safetensors instead"
        )
    found: dict[str, Any] = {"context_length": text.context, "vocab_size": tokenizer.vocab}
    found |= {"width": text.width, "heads": text.heads, "layers": text.layers}
    found |= _mlp(text.width, text.mlp_ratio) | _kwargs(text.activation, text.eps)
    if isinstance(tokenizer, ClipTokenizer):
        return found
    found |= {"pool_type": "eos", "eos_id": tokenizer.eot, "pad_id": tokenizer.pad}
    return found | {"hf_tokenizer_name": "this folder", "tokenizer_kwargs": {"clean": "lower"}}


def _mlp(width: int, ratio: float) -> dict[str, Any]:
    """open_clip rounds `width * mlp_ratio` down, where ours rounds to the nearest."""
    hidden = round(width * ratio)
    given = hidden / width
    given = given if int(width * given) == hidden else math.nextafter(given, math.inf)
    return {} if given == 4 else {"mlp_ratio": given}


def _kwargs(activation: Activation, eps: float) -> dict[str, Any]:
    found: dict[str, Any] = {"act_kwargs": {"approximate": "tanh"}} if activation == "gelu_tanh" else {}
    return found | ({} if eps == 1e-5 else {"norm_kwargs": {"eps": eps}})


def _resnet(image: ImageTowerConfig) -> dict[str, Any]:
    shape = image.layers, image.bottleneck
    name = next((name for name, known in RESNETS.items() if known == shape), None)
    if name is None or image.width != 64 or image.norm != "batch":
        raise SightwordError(
            f"timm has no ResNet of {image.layers} blocks, {image.width} wide, with {image.norm} norm, under"
            f" a name; it has {', '.join(RESNETS)}"
        )
    return {"timm_model_name": name, "timm_pool": _TIMM_POOLS[image.pool], "image_size": image.size}


def _trunk(image: ImageTowerConfig, quick: bool, folder: Path | None) -> Way:
    """timm's ViT; its activation does not depend on open_clip's."""
    if image.eps != _TIMM_EPS:
        both = f"{image.activation} beside a text tower {'with' if quick else 'without'} quick_gelu"
        raise SightwordError(
            f"open_clip's own ViT cannot be this one ({both}, pool {image.pool}), and timm's has LayerNorms"
            f" with an eps of {_TIMM_EPS}, found {image.eps}; export to safetensors or onnx instead"
        )
    vision = {"timm_pool": _TIMM_POOLS[image.pool], "timm_proj": "linear", "image_size": image.size}
    if name := _name(image):
        return {"timm_model_name": name, **vision}, quick, "timm by name", {}
    if folder is None:
        raise SightwordError(
            "timm has no name for this ViT, so that its arguments must lie in a folder whose place is known"
        )
    vision["timm_model_name"] = f"{LOCAL}{folder.resolve()}"
    return (
        vision,
        quick,
        "timm from this folder",
        {"config.json": timm_vit.config_of(ModelConfig(image=image))},
    )


def _name(image: ImageTowerConfig) -> str | None:
    """timm's name for a plain ViT with a class token; the pool is open_clip's to choose."""
    plain = image.activation == "gelu" and not image.pre_norm and not image.norm_after_pool
    plain = plain and _is_its_own(image) and image.mlp_ratio == 4
    shape = image.width, image.heads, image.layers[0]
    known = ((name, (WIDTHS[name], HEADS[name], _DEPTHS[name])) for name in WIDTHS)
    found = next((name for name, its in known if its == shape), None)
    size = image.patch_size, image.size
    return f"vit_{found}_patch{size[0]}_{size[1]}" if plain and found and size in _SIZES[found] else None
