"""Image encoders and SigLIP of `interop.py`: timm's, torchvision's, Hugging Face's, MAE's and MoCo v3's."""

from __future__ import annotations

import importlib
import json
from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import image_encoders
import numpy as np
import siglip_pairs
import torch
from _interop import MODEL, Case, Features, folder, random_weights
from formula import fill
from recording import load
from safetensors.torch import save_file
from towers_of import loaded, normalised, pixels

from sightword.weights.families import recognised
from sightword.weights.foreign import Foreign
from sightword.weights.reading import read

_TIMM = (
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_base_patch16_siglip_224",  # pooled by a query
    "vit_base_patch16_siglip_gap_224",
    "resnet18",
    "resnet50",
)
_MOCO = ("vit_small", "vit_base", "vit_conv_small")
_SIGLIP = "ViT-B-16-SigLIP"
_PREPARED = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "input_size": [3, 224, 224]}


def through_a_folder(
    tensors: dict[str, torch.Tensor], name: str, config: dict[str, Any], file: str
) -> Foreign:
    """Written with the json that describes it, and read."""
    with folder() as place:
        _write(place, tensors, name, config, file)
        return recognised(read(place))


def _write(
    place: Path, tensors: dict[str, torch.Tensor], name: str, config: dict[str, Any], file: str
) -> None:
    (place / file).write_text(json.dumps(config), encoding="utf-8")
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, place / name, {"format": "pt"})


@torch.no_grad()
def from_timm(name: str, sources: Path | None) -> Features:
    """With a classifier, which is left out, and timm's own config.json."""
    del sources
    timm = importlib.import_module("timm")
    theirs = timm.create_model(name, num_classes=10)
    fill(theirs.eval())
    config = {"architecture": name, "global_pool": theirs.global_pool, "pretrained_cfg": _PREPARED}
    config["global_pool"] = config["global_pool"] if isinstance(config["global_pool"], str) else "avg"
    foreign = through_a_folder(theirs.state_dict(), "model.safetensors", config, "config.json")
    images = pixels(224)
    theirs.reset_classifier(0)
    expected = theirs(normalised(images, *image_encoders.HALVES))
    return Features((loaded(foreign).image(images), expected), None, f"timm {timm.__version__}")


@torch.no_grad()
def from_transformers_vit(sources: Path | None) -> Features:
    """`ViTModel` with its default configuration, ViT-B/16, as `save_pretrained` writes it."""
    del sources
    transformers = importlib.import_module("transformers")
    theirs, images = random_weights(transformers.ViTModel(transformers.ViTConfig())), pixels(224)
    with folder() as place:
        theirs.save_pretrained(place)
        found = loaded(recognised(read(place))).image(images)
    expected = theirs(normalised(images, *image_encoders.HALVES)).last_hidden_state[:, 0]
    return Features((found, expected), None, f"transformers {transformers.__version__}")


def _both(place: Path, theirs: Any, said: tuple[torch.Tensor, torch.Tensor], library: str) -> Features:
    del theirs
    made, images = loaded(recognised(read(place))), pixels(224)
    pair = (made.image(images), said[0]), (made.text(siglip_pairs.CAPTIONS), said[1])
    return Features(*pair, library)


@torch.no_grad()
def from_transformers_siglip(sources: Path | None) -> Features:
    """`SiglipModel` with its default configuration, base, captions cut by `SiglipTokenizer`."""
    del sources
    transformers = importlib.import_module("transformers")
    theirs, images = random_weights(transformers.SiglipModel(transformers.SiglipConfig())), pixels(224)
    with folder() as place:
        siglip_pairs.make_words(place, importlib.import_module)
        theirs.save_pretrained(place)
        slow = transformers.SiglipTokenizer(str(place / "spiece.model"))
        ids = slow(
            siglip_pairs.CAPTIONS, padding="max_length", max_length=64, truncation=True, return_tensors="pt"
        )
        seen = normalised(images, *image_encoders.HALVES)
        found = theirs(input_ids=ids["input_ids"], pixel_values=seen)
        answers = found.image_embeds, found.text_embeds
        return _both(place, theirs, answers, f"transformers {transformers.__version__}")


@torch.no_grad()
def from_open_clip_siglip(sources: Path | None) -> Features:
    """ViT-B-16-SigLIP as its hub files lay it out, captions cut by open_clip's own way."""
    del sources
    open_clip = importlib.import_module("open_clip")
    config, images = open_clip.get_model_config(_SIGLIP), pixels(224)
    build = {name: value for name, value in config.items() if name != "custom_text"}
    theirs = random_weights(open_clip.model.CustomTextCLIP(**build))
    prepared = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    with folder() as place:
        siglip_pairs.make_words(place, importlib.import_module)
        said = {"model_cfg": config, "preprocess_cfg": prepared}
        _write(place, theirs.state_dict(), MODEL, said, "open_clip_config.json")
        words = open_clip.tokenizer.HFTokenizer(str(place), context_length=64, clean="canonicalize")
        image = theirs.encode_image(normalised(images, *image_encoders.HALVES), True)
        text = theirs.encode_text(words(siglip_pairs.CAPTIONS), True)
        return _both(place, theirs, (image, text), f"open_clip {open_clip.__version__}")


@torch.no_grad()
def from_mae(name: str, sources: Path | None) -> Features:
    """MAE's own ViT with its own positions, as its pre-training's encoder; read without config.json."""
    root = _source(sources, "mae")
    vars(np).setdefault("float", float)  # a name that numpy had when MAE was written
    module = load(root / "models_vit.py", root)
    theirs, images = random_weights(getattr(module, name)(num_classes=0)), pixels(224)
    positions = load(root / "util" / "pos_embed.py", root).get_2d_sincos_pos_embed
    side = 14
    theirs.pos_embed.copy_(torch.from_numpy(positions(theirs.embed_dim, side, cls_token=True))[None])
    foreign = _checkpoint({"model": theirs.state_dict()})
    expected = theirs.forward_features(normalised(images, *image_encoders.IMAGENET))
    return Features((loaded(foreign).image(images), expected), None, "facebookresearch/mae")


@torch.no_grad()
def from_mocov3(name: str, sources: Path | None) -> Features:
    """MoCo v3's own ViT, as its training stores it."""
    vits = image_encoders.moco_vits(_source(sources, "moco-v3"))
    theirs, images = getattr(vits, name)(num_classes=0), pixels(224)
    fill(theirs.eval(), ("pos_embed",))
    spread = {f"module.base_encoder.{k}": v for k, v in theirs.state_dict().items()}
    foreign = _checkpoint({"epoch": 300, "arch": name, "state_dict": spread})
    expected = theirs(normalised(images, *image_encoders.IMAGENET))
    return Features((loaded(foreign).image(images), expected), None, "facebookresearch/moco-v3")


def _checkpoint(content: dict[str, Any]) -> Foreign:
    with folder() as place:
        torch.save(content, place / "checkpoint.pth")
        return recognised(read(place / "checkpoint.pth"))


def _source(sources: Path | None, name: str) -> Path:
    if sources is None or not (sources / name).is_dir():
        raise ArgumentTypeError(f"no checkout called {name} in --sources")
    return sources / name


def _in(family: str, architecture: str, run: Callable[[Path | None], Features]) -> Case:
    return Case(family, "in", architecture, run)


CASES = [
    *(_in("timm", name, partial(from_timm, name)) for name in _TIMM),
    _in("Hugging Face's ViT", "base", from_transformers_vit),
    _in("Hugging Face's SigLIP", "base", from_transformers_siglip),
    _in("open_clip's SigLIP", _SIGLIP, from_open_clip_siglip),
    _in("MAE", "vit_base_patch16", partial(from_mae, "vit_base_patch16")),
    *(
        _in("MoCo v3", name, partial(from_mocov3, name))
        for name in ("vit_small", "vit_base", "vit_conv_small")
    ),
]
