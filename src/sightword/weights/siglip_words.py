"""The captions' side of SigLIP's weights: the vocabulary beside them, and the rows that it has ids for."""

from __future__ import annotations

from dataclasses import replace

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.pairs.words.siglip_tokenizer import Canon, SiglipTokenizer
from sightword.pairs.words.tokenizing import Tokenizer
from sightword.weights.clip_shapes import sized
from sightword.weights.plain_json import json_beside
from sightword.weights.reading import Read

FILE = "tokenizer.json"
_SETTINGS = "tokenizer_config.json"


def why_no_siglip(model: ModelConfig, tokenizer: Tokenizer) -> str | None:
    """Why a model with a ViT is no SigLIP, whoever builds it; None when it is one."""
    image, text = model.image, model.text
    if image.pool != "attention" or image.class_token or image.norm_after_pool or model.project_image:
        return f"SigLIP's ViT pools by attention and projects nothing; this one pools by {image.pool}"
    if text.attention != "padding-too" or text.pool != "last" or not model.project_text_bias:
        return f"SigLIP's text tower looks at padding and takes the last place; this one is {text.attention}"
    if not isinstance(tokenizer, SiglipTokenizer):
        return "SigLIP's captions are cut by its sentence pieces, and this model has other words"
    return None


def tokenizer_of(file: Read, context: int, canon: Canon) -> SiglipTokenizer:
    """The tokenizer that lies beside the weights.

    Raises:
        SightwordError: when there is none, or it pads or ends captions otherwise than SigLIP's.
    """
    if file.beside is None:
        raise SightwordError(f"'{file.where}' needs the {FILE} of its model; give the whole folder")
    tokenizer = SiglipTokenizer.from_file(file.beside / FILE, context, canon)
    said = json_beside(file.beside, _SETTINGS)
    for role, id in (("eos_token", tokenizer.eot), ("pad_token", tokenizer.pad)):
        name = said.get(role)
        name = name.get("content") if isinstance(name, dict) else name
        if name is not None and tokenizer.id_of(str(name)) != id:
            raise SightwordError(
                f"{_SETTINGS} beside '{file.where}' says that {role} is {name!r}, {FILE} has"
                f" {tokenizer.id_of(str(name))} for it, and SigLIP's is {id}; give the weights' own tokenizer"
            )
    return tokenizer


def without_spare_rows(file: Read, name: str, tokenizer: SiglipTokenizer) -> tuple[Read, list[str]]:
    """The same weights with a row of the embedding called `name` for each id, and what must be told.

    Raises:
        SightwordError: when there are fewer rows than ids.
    """
    rows = sized(file, name, 2)[0]
    if rows < tokenizer.vocab:
        raise SightwordError(
            f"'{file.where}' knows {rows} words ({name}), and {FILE} beside it has {tokenizer.vocab};"
            " give the tokenizer of the weights"
        )
    if rows == tokenizer.vocab:
        return file, []
    kept = {**file.tensors, name: file.tensors[name][: tokenizer.vocab]}
    note = f"left out: {rows - tokenizer.vocab} rows of {name}, for which {FILE} has no word"
    return replace(file, tensors=kept), [note]
