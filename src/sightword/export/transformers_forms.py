"""Which of transformers' models one of ours can be, with its configuration and tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sightword.export.own_names import IMAGE, tensors_of, with_bias
from sightword.training.model import Model
from sightword.weights import hf_clip, hf_clip_export, hf_dual, hf_siglip, hf_vit

Json = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """One of transformers' models.

    kind: its class.
    processor: the class that prepares its pictures.
    pairs: whether it holds captions too.
    against: why it cannot be a model; None when it can.
    config: `config.json`.
    tensors: by its names.
    words: changes our `tokenizer.json` where its ids are others.
    biased: whether it has a bias of the logits.
    """

    kind: str
    processor: str
    pairs: bool
    against: Callable[[Model], str | None]
    config: Callable[[Model], Json]
    tensors: Callable[[Model], Mapping[str, Tensor]]
    words: Callable[[Model, Json], Json] = lambda model, said: said
    biased: bool = False


def _clip_tensors(model: Model) -> Mapping[str, Tensor]:
    swapped = hf_clip_export.swapped_for(model.tokenizer)
    return hf_clip.table(model.config.model, swapped).outward(tensors_of(model, bias=False))


def _vit_config(model: Model) -> Json:
    """Its pooler hands on what it gets, so that `pooler_output` is the feature."""
    kind = model.config.model
    return hf_vit.config_of(kind) | hf_dual.pooler_settings(kind)


def _vit_tensors(model: Model) -> Mapping[str, Tensor]:
    kind = model.config.model
    return hf_dual.pooler_of(kind, "") | hf_vit.table(kind).outward(tensors_of(model, IMAGE))


def _dual_tensors(model: Model) -> Mapping[str, Tensor]:
    kind, swapped = model.config.model, hf_clip_export.swapped_for(model.tokenizer)
    return hf_dual.pooler_of(kind) | hf_dual.table(kind, swapped).outward(tensors_of(model, bias=False))


def _clip_words(model: Model, said: Json) -> Json:
    return hf_clip_export.exchanged(said, hf_clip_export.swapped_for(model.tokenizer))


FORMS = (
    Form(
        "CLIPModel",
        "CLIPImageProcessor",
        True,
        lambda model: hf_clip_export.reason_against(model.config.model),
        lambda model: hf_clip_export.config_of(model.config.model, model.tokenizer),
        _clip_tensors,
        _clip_words,
    ),
    Form(
        "SiglipModel",
        "CLIPImageProcessor",
        True,
        lambda model: hf_siglip.why_not(model.config.model, model.tokenizer),
        lambda model: hf_siglip.config_of(model.config.model, model.tokenizer),
        lambda model: hf_siglip.table(model.config.model).outward(with_bias(model)),
        biased=True,
    ),
    Form(
        "VisionTextDualEncoderModel",
        "CLIPImageProcessor",
        True,
        lambda model: hf_dual.why_not(model.config.model),
        lambda model: hf_dual.config_of(model.config.model, model.tokenizer),
        _dual_tensors,
        _clip_words,
    ),
    Form(
        "ViTModel",
        "CLIPImageProcessor",
        False,
        lambda model: hf_vit.why_not(model.config.model),
        _vit_config,
        _vit_tensors,
    ),
)  # asked in this order: those that hold captions first


def form_of(model: Model) -> Form | None:
    """The first that a model can be, with its captions where there is one; None when there is none."""
    asked = (form for form in FORMS if model.has_text or not form.pairs)
    return next((form for form in asked if form.against(model) is None), None)


def reasons_against(model: Model, pairs: bool) -> list[str]:
    """Why it is none of those that hold captions, or of those that do not."""
    said = (form.against(model) for form in FORMS if form.pairs == pairs)
    return [reason for reason in said if reason is not None]
