"""Runs that start from weights from elsewhere: their model and their words, where none were asked for."""

from __future__ import annotations

from dataclasses import replace

from sightword.config import Config, DataConfig, ModelConfig
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.recipes import general, models
from sightword.weights.borrowed import is_borrowed
from sightword.weights.foreign import Foreign
from sightword.weights.sources import open_weights


def from_weights(config: Config, path: str, own_model: bool) -> Config:
    """A run that starts with weights: whole in its config.toml, so that it goes on without their file.

    Args:
        config: of a recipe, or the plain one.
        path: the weights. Of an image encoder alone the captions get the text tower of the known model that
            is most like it, fresh.
        own_model: a model was asked for by name; whether it agrees is seen when the run begins.

    Raises:
        SightwordError: when the weights cannot be read.
    """
    if is_borrowed(config.model):
        return replace(config, pretrained=path)  # by the names of its library, when the run begins
    weights = open_weights(path, config.model.image if own_model else None)
    if not own_model:
        image = replace(weights.model.image, drop_path=config.model.image.drop_path)
        model = replace(weights.model, image=image)
        config = replace(config, model=model if weights.has_text else _with_captions(model))
    data = config.data if own_model else replace(config.data, tokenizer=general.words_of(config.model))
    return replace(config, pretrained=path, data=_reading(data, weights))


def _with_captions(model: ModelConfig) -> ModelConfig:
    known = [make() for make in models.names().values()]
    alike = [one for one in known if one.image.kind == model.image.kind]
    near = min(alike, key=lambda one: abs(one.image.width - model.image.width))
    return replace(model, text=near.text, embed=near.embed, project_image=True, project_text_bias=False)


def _reading(data: DataConfig, weights: Foreign) -> DataConfig:
    """Captions in the words that the weights learned."""
    if weights.tokenizer is None:
        return data
    if weights.tokenizer.digest == ClipTokenizer(weights.tokenizer.context).digest:
        return replace(data, tokenizer="clip")
    return replace(data, tokenizer="weights", vocab=weights.tokenizer.vocab)
