"""open_clip's SigLIP: timm's ViT pooled by a query, and a text tower that looks at padding; both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer
from sightword.weights import clip_names, timm_names
from sightword.weights.clip_shapes import count, sized
from sightword.weights.foreign import Foreign
from sightword.weights.open_clip_told import FILE, demand, told
from sightword.weights.preparation import HALVES
from sightword.weights.reading import Read
from sightword.weights.renaming import Table
from sightword.weights.siglip_words import tokenizer_of, why_no_siglip, without_spare_rows
from sightword.weights.timm_shapes import demand_plain, vit_of
from sightword.weights.timm_told import known_vits

_TRUNK, _TEXT = "visual.trunk.", "text."
_WORDS = f"{_TEXT}token_embedding.weight"
_TRUNK_EPS, _TEXT_HEADS = 1e-6, 8  # of timm's ViTs; of open_clip's text towers where nothing else is said
_CLEAN = {"clean": "canonicalize"}


def recognises(file: Read) -> bool:
    """timm's query over the picture's tokens, beside a text tower whose projection has a bias."""
    return {f"{_TRUNK}attn_pool.latent", f"{_TEXT}text_projection.bias"} <= file.tensors.keys()


def read(file: Read) -> Foreign:
    """The weights by our names, with heads and activations from open_clip_config.json.

    Raises:
        SightwordError: without that file or tokenizer.json, or when they and the tensors contradict each
            other.
    """
    known = told(file)
    if not known.vision or not known.text:
        raise SightwordError(
            f"'{file.where}' is of open_clip's SigLIP, whose heads stand in {FILE}, and none lies beside it;"
            " give the whole folder"
        )
    image = known.prepared(_image(file, known.vision))
    text = _text(file, known.text, known.activation("text_cfg"), known.eps("text_cfg"))
    tokenizer = tokenizer_of(file, text.context, "open_clip")
    file, notes = without_spare_rows(file, _WORDS, tokenizer)
    model = ModelConfig("open_clip-siglip", image, text, image.width, False, True)
    tensors = table(model).inward(file.tensors, file.where)
    return Foreign("open_clip's SigLIP", file.where, model, tensors, tokenizer, (*known.notes, *notes))


def table(model: ModelConfig) -> Table:
    """open_clip's names beside ours."""
    image, text = timm_names.vit(model.image, _TRUNK), clip_names.text(model, _TEXT)
    return Table([*image, *text, *clip_names.scale(bias=True)])


def why_not(model: ModelConfig, tokenizer: Tokenizer) -> str | None:
    """Why open_clip has no SigLIP like this model; None when it has."""
    image = model.image
    if _architecture(image) is None:
        return (
            "open_clip builds SigLIP around a ViT that timm has under a name (vit_base_patch16_siglip_224 and"
            f" its like), and this one ({image.width} wide, {image.layers} layers, {image.heads} heads,"
            f" patches of {image.patch_size} in {image.size} pixels, {image.activation}) is none of them"
        )
    return why_no_siglip(model, tokenizer)


def config_of(model: ModelConfig, tokenizer: Tokenizer, words: str) -> dict[str, Any]:
    """`open_clip_config.json` of a model that `why_not` has nothing against.

    Args:
        model: the towers.
        tokenizer: SigLIP's.
        words: where open_clip finds it: a folder with tokenizer.json, or a name of Hugging Face's.
    """
    image, text = model.image, model.text
    captions = {
        "context_length": text.context,
        "vocab_size": tokenizer.vocab,
        "hf_tokenizer_name": words,
        "tokenizer_kwargs": _CLEAN,
        "width": text.width,
        "heads": text.heads,
        "layers": text.layers,
        "mlp_ratio": text.mlp_ratio,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": text.eps},
        **({"act_kwargs": {"approximate": "tanh"}} if text.activation == "gelu_tanh" else {}),
    }
    vision = {
        "image_size": image.size,
        "timm_model_name": _architecture(image),
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    }
    prepared = {"size": image.size, "mean": list(image.mean), "std": list(image.std)}
    prepared |= {"interpolation": image.interpolation, "resize_mode": image.resize}
    return {
        "model_cfg": {
            "embed_dim": model.embed,
            "init_logit_bias": -10,
            "custom_text": True,
            "quick_gelu": text.activation == "quick_gelu",
            "vision_cfg": vision,
            "text_cfg": captions,
        },
        "preprocess_cfg": prepared,
    }


def _architecture(image: ImageTowerConfig) -> str | None:
    """timm's name for a ViT of SigLIP's with just this shape."""
    wanted = image.width, image.layers[0], image.heads, image.eps, image.activation
    end = f"_patch{image.patch_size}_siglip_{image.size}"
    return next(
        (name for name, facts in known_vits().items() if facts == wanted and name.endswith(end)), None
    )


def _image(file: Read, said: Mapping[str, Any]) -> ImageTowerConfig:
    demand_plain(file, _TRUNK)
    name = said.get("timm_model_name")
    if name not in known_vits() or said.get("timm_pool") != "map" or said.get("timm_proj") != "none":
        raise SightwordError(
            f"{FILE}: vision_cfg is of timm's {name!r}, pooled by {said.get('timm_pool')!r} and projected by"
            f" {said.get('timm_proj')!r}; wanted a ViT of SigLIP's, pooled by 'map' and projected by 'none'"
        )
    width, layers, heads, eps, activation = known_vits()[str(name)]
    image = vit_of(file, heads, "attention", _TRUNK, activation=activation, eps=eps, **_AS_SIGLIP)
    if (image.width, image.layers) != (width, (layers,)):
        raise SightwordError(
            f"{FILE} says that the picture tower of '{file.where}' is timm's {name}, {width} wide with"
            f" {layers} layers, but its weights are {image.width} wide with {image.layers[0]}"
        )
    demand(said, {"image_size": image.size}, "vision_cfg")
    return image


_AS_SIGLIP: dict[str, Any] = {"interpolation": "bicubic", "resize": "squash", **HALVES}


def _text(file: Read, said: Mapping[str, Any], activation: Any, eps: float) -> TextTowerConfig:
    if not said.get("no_causal_mask") or said.get("pool_type") != "last" or not said.get("proj_bias"):
        raise SightwordError(
            f"{FILE}: text_cfg must be SigLIP's (no_causal_mask, proj_bias, pool_type 'last') beside a"
            f" picture tower that is; found pool_type {said.get('pool_type')!r}"
        )
    if said.get("tokenizer_kwargs") != _CLEAN:
        raise SightwordError(
            f"{FILE}: captions are prepared in a way that is not known here (text_cfg.tokenizer_kwargs"
            f" {said.get('tokenizer_kwargs')}); wanted SigLIP's, {_CLEAN}"
        )
    context, width = sized(file, f"{_TEXT}positional_embedding", 2)
    layers = count(file.tensors, f"{_TEXT}transformer.resblocks.")
    rows = sized(file, _WORDS, 2)[0]
    found = {"width": width, "layers": layers, "context_length": context, "vocab_size": rows}
    demand(said, found, "text_cfg")
    heads = int(said.get("heads", _TEXT_HEADS))
    hidden = sized(file, f"{_TEXT}transformer.resblocks.0.mlp.c_fc.weight", 2)[0]
    return TextTowerConfig(
        width=width,
        layers=layers,
        heads=heads,
        context=context,
        attention="padding-too",
        pool="last",
        activation=activation,
        eps=eps,
        mlp_ratio=hidden / width,
    )
