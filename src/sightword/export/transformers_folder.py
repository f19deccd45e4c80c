"""transformers: a folder that AutoModel, AutoProcessor and AutoTokenizer take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from sightword.export import beside
from sightword.export.own_names import told_of_bias
from sightword.export.prepared import through
from sightword.export.reading_back import read_back
from sightword.export.target import Loaded, Target, library, version_of
from sightword.export.transformers_forms import Form, form_of, reasons_against
from sightword.training.model import Model

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


class Transformers(Target):
    """`config.json`, `model.safetensors`, `preprocessor_config.json` and the tokenizer's files.

    A pair of encoders that is none of transformers' pairs leaves its captions behind, and says so, where the
    image tower alone is one of its models.
    """

    name = "hf"
    library = "transformers"
    packages = ("transformers",)

    def refuses(self, model: Model) -> str:
        if form_of(model) is not None:
            return ""
        return "; ".join(reasons_against(model, pairs=model.has_text))

    def alone(self, model: Model) -> bool:
        return not _form(model).pairs

    def told(self, model: Model) -> str:
        if not model.has_text:
            return ""
        if _form(model).pairs:
            return told_of_bias(model, _form(model).biased)
        why = "; ".join(reasons_against(model, pairs=True))
        return f"the image tower alone, as {_form(model).kind}: {why}"

    def write(self, model: Model, folder: Path) -> None:
        form = _form(model)
        beside.write_json(folder / _CONFIG, form.config(model))
        save_file(dict(form.tensors(model)), folder / _WEIGHTS, {"format": "pt"})
        beside.write_preprocessing(model, folder, form.processor)
        if form.pairs:
            beside.write_hugging_face_tokenizer(model.tokenizer, folder)
            file = folder / beside.TOKENIZER
            beside.write_json(file, form.words(model, json.loads(file.read_text(encoding="utf-8"))))
            beside.write_templates(folder)

    def loaded(self, model: Model, folder: Path) -> Loaded:
        transformers = library("transformers")
        library("transformers.utils.logging").disable_progress_bar()
        own = {"local_files_only": True}
        net = transformers.AutoModel.from_pretrained(folder, **own).eval()
        prepare = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", **own)
        by = f"transformers {version_of('transformers')}"

        def pixels(pictures: Tensor) -> Tensor:
            return through(pictures, lambda one: prepare(one, return_tensors="pt")["pixel_values"][0])

        if not _form(model).pairs:
            return Loaded(by, lambda pictures: _feature(net(pixels(pictures))), pooled=True)
        words = transformers.AutoTokenizer.from_pretrained(folder, **own)

        def text(sentences: Sequence[str]) -> Tensor:
            said = words(list(sentences), padding="max_length", truncation=True, return_tensors="pt")
            return F.normalize(_feature(net.get_text_features(said["input_ids"])), dim=-1)

        def image(pictures: Tensor) -> Tensor:
            return F.normalize(_feature(net.get_image_features(pixels(pictures))), dim=-1)

        return Loaded(by, image, text)

    def reread(self, model: Model, folder: Path) -> Loaded:
        return read_back(folder)

    def use(self, place: Path) -> str:
        return (
            "from transformers import AutoModel, AutoProcessor\n\n"
            f'model = AutoModel.from_pretrained("{place.name}")\n'
            f'processor = AutoProcessor.from_pretrained("{place.name}")'
        )

    def describe(self, model: Model) -> str:
        form = _form(model)
        features = "`get_image_features` and `get_text_features`" if form.pairs else "`pooler_output`"
        text = f"It is a `{form.kind}`, whose features are {features}. {_sentence(self.told(model))}".strip()
        said = form.config(model)
        if "pooler_act" in said.get("vision_config", said):
            text += (
                " Its ViT's pooler hands on the class token (`pooler_act`); versions of transformers from"
                " before 2025 do not know that, and give other features."
            )
        return text


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _feature(answer: Any) -> Tensor:
    """Features, which newer versions give in an object."""
    return answer if isinstance(answer, torch.Tensor) else answer.pooler_output


def _form(model: Model) -> Form:
    form = form_of(model)
    assert form is not None, "it was refused"
    return form
