"""Exports of `interop.py`: our models at their real sizes, written by `sightword export`'s own forms."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest import mock

import siglip_pairs
import torch
import torch.nn.functional as F
from _interop import Case, Features, folder, random_weights
from recording import load
from torch import nn
from towers_of import TEXTS, normalised, pixels

from sightword.config import Config, DataConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.export.target import Loaded, UnloadableError
from sightword.export.targets import find
from sightword.pairs.words.siglip_tokenizer import SiglipTokenizer
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.recipes import models
from sightword.training.model import Model, load_model
from sightword.training.setup import Equipment, build_encoders
from sightword.words import Contrast

_HALF = (0.5, 0.5, 0.5)
_SLIP = "CLIP_VITS16"
Make = Callable[[Path], Model]


def pair(name: str, place: Path) -> Model:
    """One of our models, both towers."""
    del place
    return _model(models.find(name), Equipment(text=True, contrast=Contrast()))


def pictures(name: str, place: Path) -> Model:
    """Its image tower alone."""
    del place
    return _model(models.find(name), Equipment(text=False, contrast=None))


def siglip(place: Path, activation: str = "gelu_tanh") -> Model:
    """SigLIP's base, with a small vocabulary.

    Args:
        place: a folder for the vocabulary.
        activation: of the image tower: transformers' has "gelu_tanh", the base of timm's "gelu".
    """
    siglip_pairs.make_words(place, import_module)
    words = SiglipTokenizer.from_file(place / "tokenizer.json", 64, "hugging-face")
    image = ImageTowerConfig(
        width=768,
        layers=(12,),
        heads=12,
        pool="attention",
        activation="gelu" if activation == "gelu" else "gelu_tanh",
        interpolation="bicubic",
        resize="squash",
        mean=_HALF,
        std=_HALF,
    )
    text = TextTowerConfig(
        width=768,
        layers=12,
        heads=12,
        context=64,
        attention="padding-too",
        pool="last",
        activation="gelu_tanh",
        eps=1e-6,
    )
    kind = ModelConfig("siglip-base", image, text, 768, project_image=False, project_text_bias=True)
    return _model(kind, Equipment(text=True, contrast=Contrast(bias=-10.0)), words)


def _model(kind: ModelConfig, has: Equipment, words: SiglipTokenizer | None = None) -> Model:
    tokenizer = words or ClipTokenizer(kind.text.context)
    config = Config(model=kind, data=DataConfig(path=""), precision="fp32")
    encoders = build_encoders(kind, tokenizer, 0, has)
    random_weights(encoders)
    return Model(kind.name, config, encoders, tokenizer, "", device="cpu")


@torch.no_grad()
def to(form: str, make: Make, sources: Path | None) -> Features:
    """Written, and loaded by the library that the form is for."""
    del sources
    with folder() as words, folder() as place:
        model = make(words)
        theirs = _loaded(form, model, place)
        images, captions = pixels(model.image_size), [*TEXTS, *siglip_pairs.SENTENCES]
        image = model.encode_image(images, project=not theirs.pooled), theirs.image(images)
        text = None if theirs.text is None else (model.encode_text(captions), theirs.text(captions))
        return Features(image, text, theirs.by, find(form).told(model))


@torch.no_grad()
def slip_to(form: str, sources: Path | None) -> Features:
    """A checkpoint of SLIP's exported, and SLIP's own code beside the library that then loads it."""
    if sources is None or not (sources / "SLIP").is_dir():
        raise ArgumentTypeError("no checkout called SLIP in --sources")
    root = sources / "SLIP"
    import_module("timm.models.registry")
    with mock.patch.object(nn, "SyncBatchNorm", nn.BatchNorm1d):
        own = random_weights(getattr(load(root / "models.py", root), _SLIP)())
    words = load(root / "tokenizer.py", root).SimpleTokenizer(root / "bpe_simple_vocab_16e6.txt.gz")
    with folder() as begun, folder() as place:
        spread = {f"module.{name}": tensor for name, tensor in own.state_dict().items()}
        torch.save({"epoch": 25, "state_dict": spread}, begun / "slip.pt")
        model = load_model(begun / "slip.pt", "cpu")
        theirs = _loaded(form, model, place)
        images, look = pixels(model.image_size), model.config.model.image
        seen = F.normalize(own.encode_image(normalised(images, look.mean, look.std)))
        read = F.normalize(own.encode_text(words(TEXTS)))
        assert theirs.text is not None
        found = (seen, theirs.image(images)), (read, theirs.text(TEXTS))
        return Features(*found, f"SLIP, {theirs.by}", "from SLIP's checkpoint")


def _loaded(form: str, model: Model, place: Path) -> Loaded:
    find(form).write(model, place)
    try:
        return find(form).loaded(model, place)
    except UnloadableError as error:
        raise ImportError(str(error)) from error


def _case(family: str, architecture: str, form: str, make: Make) -> Case:
    return Case(family, "out", architecture, partial(to, form, make))


CASES = [
    _case("open_clip's SigLIP", "ViT-B-16-SigLIP", "open_clip", partial(siglip, activation="gelu")),
    _case("Hugging Face's SigLIP", "base", "hf", siglip),
    *(_case("Hugging Face's ViT", name, "hf", partial(pictures, name)) for name in ("vit-s16", "vit-b16")),
    *(
        _case("Hugging Face's dual encoder", name, "hf", partial(pair, name))
        for name in ("vit-s16", "vit-b16", "vit-b32")
    ),
    *(_case("timm", name, "timm", partial(pictures, name)) for name in ("vit-s16", "vit-b16", "resnet50")),
    *(_case("ONNX", name, "onnx", partial(pair, name)) for name in ("vit-b16", "rn50", "resnet50")),
    _case("sightword", "vit-b16", "safetensors", partial(pair, "vit-b16")),
    Case("open_clip", "out", f"SLIP's {_SLIP}", partial(slip_to, "open_clip")),
]
