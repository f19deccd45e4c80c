"""Hugging Face's `CLIPModel`: its names for tensors and its config.json, read into ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Inner

from sightword.config import Activation, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.clip_tokenizer import clip_vocabulary
from sightword.pairs.words.tokenizer import ClipTokenizer, Tokenizer, load_tokenizer
from sightword.weights import hf_names
from sightword.weights.clip_names import norm, scale
from sightword.weights.clip_shapes import MEAN, STD, clip_tokenizer, count, side_of, sized
from sightword.weights.foreign import Foreign
from sightword.weights.places import places
from sightword.weights.plain_json import json_beside
from sightword.weights.preparation import of_hugging_face
from sightword.weights.reading import Read
from sightword.weights.renaming import Table, same, shaped

TEXT = {  # what transformers takes for granted (configuration_clip.py) where a config.json is silent
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "num_attention_heads": 8,
    "eos_token_id": 49407,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
}
VISION = {
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "num_attention_heads": 12,
    "num_channels": 3,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "image_size": 224,
    "patch_size": 32,
}
ACTIVATIONS: Mapping[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
OLD_END = 2  # as `eos_token_id` it stands for "the highest id" (modeling_clip.py, CLIPTextModel)
_PREPROCESSOR = "preprocessor_config.json"


def recognises(file: Read) -> bool:
    """`CLIPModel`'s own names; the misspelt norm is nobody else's."""
    names = {"vision_model.pre_layrnorm.weight", "text_model.final_layer_norm.weight"}
    return names <= file.tensors.keys() and "visual_projection.weight" in file.tensors


def read(file: Read) -> Foreign:
    """The weights by our names, with heads, activations and eps from config.json.

    Raises:
        SightwordError: without a config.json, or when it and the tensors contradict each other.
    """
    if not {"vision_config", "text_config"} & file.config.keys():
        raise SightwordError(
            f"'{file.where}' is of Hugging Face's CLIP, whose heads and activations stand in config.json, and"
            " none lies beside it; give the whole folder"
        )
    said = said_of(file.config, "text", TEXT)
    image, notes = prepared(_image(file, said_of(file.config, "vision", VISION)), file)
    tokenizer = tokenizer_of(file, said)
    model = ModelConfig("hf-clip", image, text_of(file, said), sized(file, "visual_projection.weight", 2)[0])
    tensors = table(model).inward(file.tensors, file.where)
    return Foreign("Hugging Face's CLIP", file.where, model, tensors, tokenizer, (*file.notes, *notes))


def table(model: ModelConfig, swapped: tuple[int, int] | None = None) -> Table:
    """transformers' names beside ours.

    Args:
        model: shapes and hyper-parameters.
        swapped: two ids that stand for each other in their vocabulary; see `hf_clip_export.swapped_for`.
    """
    image, ours, theirs = model.image, "towers.image.", "vision_model."
    width, patch = image.width, image.patch_size
    stem = f"{theirs}embeddings.patch_embedding.weight"
    pairs = [
        shaped(f"{ours}stem.weight", stem, (width, -1), (width, 3, patch, patch)),
        shaped(f"{ours}class_token", f"{theirs}embeddings.class_embedding", (1, 1, width), (width,)),
        places(image, f"{theirs}embeddings.position_embedding.weight", flat=True, absorb=True),
        *norm(f"{ours}pre_norm", f"{theirs}pre_layrnorm"),
        *hf_names.layers(image.layers[0], ours, theirs),
        *norm(f"{ours}norm", f"{theirs}post_layernorm"),
        *hf_names.text(model.text.layers, swapped),
        same("joint.image.weight", "visual_projection.weight"),
        same("joint.text.weight", "text_projection.weight"),
        *scale(),
    ]
    return Table(pairs, passed=lambda name: name.endswith("embeddings.position_ids"))


def said_of(config: Mapping[str, Any], part: str, silent: Mapping[str, Any]) -> dict[str, Any]:
    """One side's settings: the old `text_config_dict` beside `text_config` counts for more, as there."""
    found = dict(silent) | dict(config.get(f"{part}_config") or {})
    old = config.get(f"{part}_config_dict")
    return found | dict(silent) | dict(old) if old else found


def prepared(image: ImageTowerConfig, file: Read) -> tuple[ImageTowerConfig, list[str]]:
    """The tower with the mean, deviation and resizing of preprocessor_config.json; CLIP's without one."""
    said = json_beside(file.beside, _PREPROCESSOR)
    found, notes = of_hugging_face(said, image.size, _PREPROCESSOR)
    if not said:
        notes.append(f"no {_PREPROCESSOR}: pictures taken to be prepared as for CLIP")
    return replace(image, **found), notes


def activation_of(said: Mapping[str, Any]) -> Activation:
    """Of one side's settings.

    Raises:
        SightwordError: when it is none that the towers have.
    """
    name = str(said["hidden_act"])
    if name not in ACTIVATIONS:
        raise SightwordError(f"config.json: hidden_act is {name!r}; wanted one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def demand(said: Mapping[str, Any], found: Mapping[str, Any], part: str) -> None:
    """Make sure that numbers of config.json are those of the weights.

    Raises:
        SightwordError: when one is not, naming it.
    """
    for name, value in found.items():
        if said[name] != value:
            raise SightwordError(
                f"config.json says that {part}_config.{name} is {said[name]}, but the weights have {value};"
                " give the file that belongs to them"
            )


def heads_of(said: Mapping[str, Any], part: str) -> int:
    """How many heads one side has.

    Raises:
        SightwordError: when they do not divide its width.
    """
    heads, width = said["num_attention_heads"], said["hidden_size"]
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise SightwordError(f"config.json: {part}_config has {heads} heads, which do not divide {width}")
    return heads


def text_of(file: Read, said: Mapping[str, Any]) -> TextTowerConfig:
    """CLIP's text tower, as config.json and tensors tell it.

    Raises:
        SightwordError: when they contradict each other.
    """
    stem = "text_model.encoder.layers."
    context, width = sized(file, "text_model.embeddings.position_embedding.weight", 2)
    depth = count(file.tensors, stem)
    hidden = sized(file, f"{stem}0.mlp.fc1.weight", 2)[0] if depth else said["intermediate_size"]
    found = {"hidden_size": width, "num_hidden_layers": depth, "intermediate_size": hidden}
    demand(said, found | {"max_position_embeddings": context}, "text")
    return TextTowerConfig(
        width=width,
        layers=depth,
        heads=heads_of(said, "text"),
        context=context,
        activation=activation_of(said),
        eps=_eps_of(said),
        mlp_ratio=hidden / width,
    )


def _image(file: Read, said: Mapping[str, Any]) -> ImageTowerConfig:
    stem, name = "vision_model.encoder.layers.", "vision_model.embeddings.position_embedding.weight"
    width, channels, patch, _ = sized(file, "vision_model.embeddings.patch_embedding.weight", 4)
    depth, side = count(file.tensors, stem), side_of(file, sized(file, name, 2)[0] - 1, name)
    hidden = sized(file, f"{stem}0.mlp.fc1.weight", 2)[0] if depth else said["intermediate_size"]
    found = {"hidden_size": width, "num_hidden_layers": depth, "intermediate_size": hidden}
    found |= {"num_channels": channels, "patch_size": patch, "image_size": patch * side}
    demand(said, found, "vision")
    return ImageTowerConfig(
        size=patch * side,
        width=width,
        layers=(depth,),
        heads=heads_of(said, "vision"),
        patch_size=patch,
        stem_bias=False,
        pre_norm=True,
        activation=activation_of(said),
        eps=_eps_of(said),
        mlp_ratio=hidden / width,
        interpolation="bicubic",
        mean=MEAN,
        std=STD,
    )


def tokenizer_of(file: Read, said: Mapping[str, Any]) -> Tokenizer:
    """CLIP's vocabulary, or one of ours that lies beside the weights.

    Raises:
        SightwordError: when it is another one, or its end of text is not what the model pools.
    """
    context, name = int(said["max_position_embeddings"]), "text_model.embeddings.token_embedding.weight"
    beside = file.beside / "tokenizer.json" if file.beside else None
    if beside is None or not beside.is_file() or _is_clips(beside):
        tokenizer: Tokenizer = clip_tokenizer(file, context, name)
    else:
        tokenizer = load_tokenizer(beside, context)
    rows, end, highest = sized(file, name, 2)[0], said["eos_token_id"], tokenizer.vocab - 1
    if rows != tokenizer.vocab or tokenizer.eot != (highest if end == OLD_END else end):
        raise SightwordError(
            f"config.json of '{file.where}' pools the word {end} of {rows}, but its tokenizer ends captions"
            f" by {tokenizer.eot} of {tokenizer.vocab}; give the tokenizer.json that belongs to the weights"
        )
    return tokenizer


def _is_clips(file: Path) -> bool:
    """Whether a tokenizer has CLIP's words, whatever start and end are called."""
    try:
        inner = Inner.from_file(str(file))
    except Exception as error:  # the library raises bare exceptions
        raise SightwordError(f"'{file}' is not a tokenizer ({error}); fetch it again") from error
    ends = {ClipTokenizer().sot, ClipTokenizer().eot}
    both = (one.get_vocab().items() for one in (inner, clip_vocabulary()))
    words, clips = ({word: id for word, id in items if id not in ends} for items in both)
    return words == clips


def _eps_of(said: Mapping[str, Any]) -> float:
    eps = said["layer_norm_eps"]
    if isinstance(eps, float):
        return eps
    raise SightwordError(f"config.json: layer_norm_eps is {eps!r}; wanted a number")
