"""OpenAI's CLIP: the state dicts of its released models, which carry three numbers of their own."""

from __future__ import annotations

from sightword.config import ModelConfig
from sightword.weights import clip_names
from sightword.weights.clip_shapes import HEAD, clip_tokenizer, image_of, sized, text_of
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read
from sightword.weights.renaming import Table

_NUMBERS = frozenset({"input_resolution", "context_length", "vocab_size"})


def recognises(file: Read) -> bool:
    """OpenAI's files keep sizes as tensors, which no other library does."""
    return file.tensors.keys() >= _NUMBERS and "visual.conv1.weight" in file.tensors


def read(file: Read) -> Foreign:
    """The weights by our names, which are released in half precision, in float32.

    Heads are 64 wide and activations QuickGELU in all of OpenAI's models (openai/CLIP, clip/model.py,
    `build_model`). The released ResNets but RN50 and RN50x64 end narrower than this package's; see
    `clip_names.resnet`.

    Raises:
        SightwordError: when tensors are missing, or contradict each other.
    """
    model = model_of(file)
    tokenizer = clip_tokenizer(file, model.text.context, "token_embedding.weight")
    tensors = table(model).inward(file.tensors, file.where)
    return Foreign("OpenAI's CLIP", file.where, model, tensors, tokenizer, file.notes)


def model_of(file: Read) -> ModelConfig:
    """Towers and joint space, from shapes alone."""
    image = image_of(file, HEAD, "quick_gelu")
    embed = sized(file, "text_projection", 2)[1]
    projected = image.kind == "vit" or embed != 16 * image.width
    return ModelConfig("openai-clip", image, text_of(file, HEAD, "quick_gelu"), embed, projected)


def table(model: ModelConfig) -> Table:
    """OpenAI's names beside ours."""
    image = clip_names.vit(model.image) if model.image.kind == "vit" else clip_names.resnet(model)
    return Table([*image, *clip_names.text(model), *clip_names.scale()], passed=_NUMBERS.__contains__)
