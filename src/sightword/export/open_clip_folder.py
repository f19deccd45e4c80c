"""open_clip: a folder that its `local-dir:` takes, with its own towers or one of timm's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from sightword.export import beside
from sightword.export.own_names import biased, tensors_of, told_of_bias, with_bias
from sightword.export.prepared import through
from sightword.export.reading_back import read_back
from sightword.export.target import Loaded, Target, library, version_of
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.training.model import Model
from sightword.weights import open_clip_siglip
from sightword.weights.open_clip_export import Expressed, expressed, reason_against

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
_LOCAL = "local-dir:"


class OpenClip(Target):
    """`open_clip_config.json` and `open_clip_model.safetensors`; a learned tokenizer as Hugging Face's."""

    name = "open_clip"
    library = "open_clip"
    packages = ("open_clip_torch", "timm", "transformers")

    def refuses(self, model: Model) -> str:
        if not model.has_text:
            return "open_clip holds pairs of encoders, and this one sees pictures alone"
        as_siglip = open_clip_siglip.why_not(model.config.model, model.tokenizer)
        as_clip = reason_against(model.config.model, model.tokenizer, biased(model), Path())
        if as_siglip is None or as_clip is None:
            return ""
        return as_siglip if model.config.model.text.attention == "padding-too" else as_clip

    def told(self, model: Model) -> str:
        return told_of_bias(model, holds=True) if _is_siglip(model) else ""

    def write(self, model: Model, folder: Path) -> None:
        said = _said(model, folder)
        config = {"model_cfg": said.model_cfg, "preprocess_cfg": said.preprocess_cfg}
        beside.write_json(folder / CONFIG, config)
        tensors = said.table.outward(with_bias(model) if _is_siglip(model) else tensors_of(model))
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})
        for name, content in said.beside.items():
            beside.write_json(folder / name, {"num_classes": 0, **content})  # else transformers trips over it
        if not isinstance(model.tokenizer, ClipTokenizer):
            beside.write_hugging_face_tokenizer(model.tokenizer, folder)
        beside.write_templates(folder)

    def loaded(self, model: Model, folder: Path) -> Loaded:
        open_clip = library("open_clip")
        net, _, prepare = open_clip.create_model_and_transforms(f"{_LOCAL}{folder}")
        words, net = open_clip.get_tokenizer(f"{_LOCAL}{folder}"), net.eval()

        def image(pictures: Tensor) -> Tensor:
            return net.encode_image(through(pictures, prepare), normalize=True)

        def text(sentences: Sequence[str]) -> Tensor:
            return net.encode_text(words(list(sentences)), normalize=True)

        return Loaded(f"open_clip {version_of('open_clip_torch')}", image, text)

    def reread(self, model: Model, folder: Path) -> Loaded:
        return read_back(folder)

    def settle(self, folder: Path, place: Path) -> None:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        vision = config["model_cfg"]["vision_cfg"]
        if str(vision.get("timm_model_name", "")).startswith(_LOCAL):
            vision["timm_model_name"] = f"{_LOCAL}{place.resolve()}"
            beside.write_json(folder / CONFIG, config)

    def use(self, place: Path) -> str:
        return (
            "import open_clip\n\n"
            f'model, _, preprocess = open_clip.create_model_and_transforms("{_LOCAL}{place.name}")\n'
            f'tokenizer = open_clip.get_tokenizer("{_LOCAL}{place.name}")'
        )

    def describe(self, model: Model) -> str:
        way = _said(model, Path()).way
        text = f"How open_clip holds it: {way}."
        if way == "timm from this folder":
            text += (
                f" Its place stands in `{CONFIG}` (`timm_model_name`): where the folder is moved, that is"
                " to be changed."
            )
        return text


def _said(model: Model, folder: Path) -> Expressed:
    """As open_clip's SigLIP, or as its CLIP."""
    kind, words = model.config.model, model.tokenizer
    if _is_siglip(model):
        config = open_clip_siglip.config_of(kind, words, "this folder")
        table = open_clip_siglip.table(kind)
        return Expressed("open_clip's SigLIP", config["model_cfg"], config["preprocess_cfg"], table)
    return expressed(model.config.model, model.tokenizer, biased(model), folder)


def _is_siglip(model: Model) -> bool:
    return open_clip_siglip.why_not(model.config.model, model.tokenizer) is None
