"""Hugging Face's `SiglipModel`, of SigLIP and, with pictures of one size, SigLIP 2: both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer
from sightword.weights.clip_names import norm
from sightword.weights.clip_shapes import count, side_of, sized
from sightword.weights.foreign import Foreign
from sightword.weights.hf_clip import ACTIVATIONS, activation_of, demand, heads_of, said_of
from sightword.weights.hf_names import layers
from sightword.weights.places import places
from sightword.weights.plain_json import json_beside
from sightword.weights.preparation import HALVES, of_hugging_face
from sightword.weights.reading import Read
from sightword.weights.renaming import Pair, Table, fused, same, shaped
from sightword.weights.siglip_words import tokenizer_of, why_no_siglip, without_spare_rows

SILENT: Mapping[str, Any] = {  # what transformers takes for granted (configuration_siglip.py)
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "num_attention_heads": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "max_position_embeddings": 64,
    "image_size": 224,
    "patch_size": 16,
}
_PREPROCESSOR = "preprocessor_config.json"
_WORDS = "text_model.embeddings.token_embedding.weight"
_SIGLIP_2 = "<eos>"  # of its vocabulary, Gemma's; SigLIP's ends captions by "</s>"
_KINDS = ("weight", "bias")


def recognises(file: Read) -> bool:
    """Its own head over the picture's tokens, beside a text tower with a head."""
    return {"vision_model.head.probe", "text_model.head.weight"} <= file.tensors.keys()


def read(file: Read) -> Foreign:
    """The weights by our names, with heads, activations and eps from config.json.

    Raises:
        SightwordError: without config.json or tokenizer.json, or when they and the tensors contradict each
            other.
    """
    if "text_config" not in file.config or "vision_config" not in file.config:
        raise SightwordError(
            f"'{file.where}' is of Hugging Face's SigLIP, whose heads and activations stand in config.json,"
            " and none lies beside it; give the whole folder"
        )
    image, notes = _image(file, said_of(file.config, "vision", SILENT))
    text = _text(file, said_of(file.config, "text", SILENT))
    tokenizer = tokenizer_of(file, text.context, "hugging-face")
    if tokenizer.id_of(_SIGLIP_2) == tokenizer.eot:
        tokenizer = tokenizer_of(file, text.context, "lower-case")
    file, left = without_spare_rows(file, _WORDS, tokenizer)
    model = ModelConfig("hf-siglip", image, text, image.width, False, True)
    tensors = table(model).inward(file.tensors, file.where)
    notes = [*file.notes, *notes, *left]
    return Foreign("Hugging Face's SigLIP", file.where, model, tensors, tokenizer, tuple(notes))


def table(model: ModelConfig) -> Table:
    """transformers' names beside ours."""
    image, ours, theirs = model.image, "towers.image.", "vision_model."
    width, patch = image.width, image.patch_size
    stem = f"{theirs}embeddings.patch_embedding."
    pairs = [
        shaped(f"{ours}stem.weight", f"{stem}weight", (width, -1), (width, 3, patch, patch)),
        same(f"{ours}stem.bias", f"{stem}bias"),
        places(image, f"{theirs}embeddings.position_embedding.weight", flat=True),
        *layers(image.layers[0], ours, theirs),
        *norm(f"{ours}norm", f"{theirs}post_layernorm"),
        *_pool(f"{ours}attention_pool.", f"{theirs}head.", width),
        same("towers.text.token_embedding.weight", _WORDS),
        same("towers.text.positional_embedding", "text_model.embeddings.position_embedding.weight"),
        *layers(model.text.layers, "towers.text.", "text_model."),
        *norm("towers.text.norm", "text_model.final_layer_norm"),
        *norm("joint.text", "text_model.head"),
        *(shaped(f"joint.{name}", name, (1,), (1,)) for name in ("logit_scale", "logit_bias")),
    ]
    return Table(pairs, passed=lambda name: name.endswith("embeddings.position_ids"))


def why_not(model: ModelConfig, tokenizer: Tokenizer) -> str | None:
    """Why `SiglipModel` cannot be this model; None when it can."""
    image = model.image
    if image.kind != "vit" or image.stem != "patch" or not image.stem_bias or image.pre_norm:
        return f"SigLIP's picture tower is a ViT with patches and no norm before its blocks, not {image.kind}"
    return why_no_siglip(model, tokenizer)


def config_of(model: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """`config.json` of a model that `why_not` has nothing against."""
    image, text = model.image, model.text
    names = {ours: theirs for theirs, ours in reversed(list(ACTIVATIONS.items()))}
    sides = {}
    for side, tower, depth in (("vision", image, image.layers[0]), ("text", text, text.layers)):
        sides[side] = {
            "model_type": f"siglip_{side}_model",
            "hidden_size": tower.width,
            "intermediate_size": round(tower.width * tower.mlp_ratio),
            "num_hidden_layers": depth,
            "num_attention_heads": tower.heads,
            "hidden_act": names[tower.activation],
            "layer_norm_eps": tower.eps,
        }
    words: dict[str, Any] = {"vocab_size": tokenizer.vocab, "max_position_embeddings": text.context}
    words |= {"eos_token_id": tokenizer.eot, "pad_token_id": tokenizer.pad, "bos_token_id": None}
    return {
        "architectures": ["SiglipModel"],
        "model_type": "siglip",
        "vision_config": sides["vision"] | {"image_size": image.size, "patch_size": image.patch_size},
        "text_config": sides["text"] | words | {"projection_size": model.embed},
    }


def _pool(ours: str, theirs: str, width: int) -> list[Pair]:
    """Their `nn.MultiheadAttention` keeps queries, keys and values in one matrix; ours queries apart."""
    pairs = [same(f"{ours}probe", f"{theirs}probe"), *norm(f"{ours}norm", f"{theirs}layernorm")]
    for kind in _KINDS:
        one = Pair(
            (f"{ours}q.{kind}", f"{ours}kv.{kind}"),
            (f"{theirs}attention.in_proj_{kind}",),
            lambda parts: parts[0].split([width, 2 * width]),
            fused("", "", "").inward,
        )
        pairs += [one, same(f"{ours}proj.{kind}", f"{theirs}attention.out_proj.{kind}")]
        pairs += [same(f"{ours}mlp.{part}.{kind}", f"{theirs}mlp.{part}.{kind}") for part in ("fc1", "fc2")]
    return pairs


def _image(file: Read, said: Mapping[str, Any]) -> tuple[ImageTowerConfig, list[str]]:
    stem, name = "vision_model.encoder.layers.", "vision_model.embeddings.position_embedding.weight"
    width, _, patch, _ = sized(file, "vision_model.embeddings.patch_embedding.weight", 4)
    depth, side = count(file.tensors, stem), side_of(file, sized(file, name, 2)[0], name)
    hidden = sized(file, f"{stem}0.mlp.fc1.weight", 2)[0]
    found = {"hidden_size": width, "num_hidden_layers": depth, "intermediate_size": hidden}
    demand(said, found | {"patch_size": patch, "image_size": patch * side}, "vision")
    image = ImageTowerConfig(
        size=patch * side,
        width=width,
        layers=(depth,),
        heads=heads_of(said, "vision"),
        patch_size=patch,
        activation=activation_of(said),
        eps=float(said["layer_norm_eps"]),
        pool="attention",
        mlp_ratio=hidden / width,
        interpolation="bicubic",
        resize="squash",
        **HALVES,
    )
    told = json_beside(file.beside, _PREPROCESSOR)
    prepared, notes = of_hugging_face(told, image.size, _PREPROCESSOR)
    if not told:
        notes.append(f"no {_PREPROCESSOR}: pictures taken to be prepared as SigLIP's (-1 to 1, squashed)")
    return replace(image, **prepared), notes


def _text(file: Read, said: Mapping[str, Any]) -> TextTowerConfig:
    stem = "text_model.encoder.layers."
    context, width = sized(file, "text_model.embeddings.position_embedding.weight", 2)
    depth, hidden = count(file.tensors, stem), sized(file, f"{stem}0.mlp.fc1.weight", 2)[0]
    found = {"hidden_size": width, "num_hidden_layers": depth, "intermediate_size": hidden}
    demand(said, found | {"max_position_embeddings": context}, "text")
    return TextTowerConfig(
        width=width,
        layers=depth,
        heads=heads_of(said, "text"),
        context=context,
        attention="padding-too",
        pool="last",
        activation=activation_of(said),
        eps=float(said["layer_norm_eps"]),
        mlp_ratio=hidden / width,
    )
