"""CLIP pairs of `interop.py`: OpenAI's, open_clip's, Hugging Face's and SLIP's, at their real sizes."""

from __future__ import annotations

import importlib
import json
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from _interop import MODEL, Case, Features, folder, of_ours, random_weights, slip_checkpoint, through_a_file
from recording import load
from safetensors.torch import save_file
from torch import Tensor, nn
from towers_of import TEXTS, normalised, pixels, towers

from sightword.config import ModelConfig, override
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.recipes import models
from sightword.weights import hf_clip, hf_clip_export
from sightword.weights.clip_shapes import MEAN, STD
from sightword.weights.families import recognised
from sightword.weights.open_clip_export import expressed
from sightword.weights.reading import read

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALVES = (0.5,) * 3, (0.5,) * 3
_OPEN_CLIP = ("ViT-B-32", "ViT-B-16", "RN50", "RN101")
_SLIP = tuple(
    f"{kind}_{size}" for size in ("VITS16", "VITB16", "VITL16") for kind in ("CLIP", "SLIP", "SIMCLR")
)
_OPENAI: dict[str, dict[str, Any]] = {
    "ViT-B/32": {"embed_dim": 512, "vision_layers": 12, "vision_width": 768, "vision_patch_size": 32},
    "RN50": {"embed_dim": 1024, "vision_layers": (3, 4, 6, 3), "vision_width": 64, "vision_patch_size": None},
}
_TEXT = {"context_length": 77, "vocab_size": 49408, "transformer_width": 512, "transformer_heads": 8}
_OURS: dict[str, dict[str, Any]] = {
    name: {} for name in ("vit-tiny", "vit-s16", "vit-b16", "vit-b32", "vit-l16", "rn50", "resnet50")
}
_HF = {"vit-b32": {"image.pre_norm": True}, "vit-s16": {"image.pre_norm": True}}


@torch.no_grad()
def from_open_clip(name: str) -> Features:
    """Its model as its hub files lay it out, through its own normalisation and tokenizer."""
    open_clip = importlib.import_module("open_clip")
    theirs = random_weights(open_clip.create_model(name))
    config = {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": {"mean": MEAN, "std": STD}}
    beside = {"open_clip_config.json": json.dumps(config)}
    images = pixels(theirs.visual.image_size[0] if isinstance(theirs.visual.image_size, tuple) else 224)
    image, text = of_ours(through_a_file(theirs.state_dict(), MODEL, beside), images)
    assert text is not None
    their_image = theirs.encode_image(normalised(images, MEAN, STD), True)
    their_text = theirs.encode_text(open_clip.get_tokenizer(name)(TEXTS), True)
    return Features((image, their_image), (text, their_text), f"open_clip {open_clip.__version__}")


@torch.no_grad()
def from_openai(name: str, sources: Path | None) -> Features:
    """OpenAI's own class, its state dict with the three numbers of its files; float32."""
    root = _source(sources, "CLIP") / "clip"
    torch.manual_seed(0)
    made = load(root / "model.py").CLIP(image_resolution=224, transformer_layers=12, **_TEXT, **_OPENAI[name])
    theirs = random_weights(made)
    numbers = {"input_resolution": 224, "context_length": 77, "vocab_size": 49408}
    tensors = dict(theirs.state_dict()) | {k: torch.tensor(v) for k, v in numbers.items()}
    images, tokens = pixels(224), _clip_ids()
    image, text = of_ours(through_a_file(tensors, "model.pt", {}), images)
    assert text is not None
    found = theirs.encode_image(normalised(images, MEAN, STD)), theirs.encode_text(tokens)
    return Features((image, F.normalize(found[0])), (text, F.normalize(found[1])), "openai/CLIP")


@torch.no_grad()
def from_hf(sources: Path | None) -> Features:
    """`CLIPModel` with its default configuration, ViT-B/32, as `save_pretrained` writes it."""
    del sources
    transformers = importlib.import_module("transformers")
    theirs, images = random_weights(transformers.CLIPModel(transformers.CLIPConfig())), pixels(224)
    beside = {"config.json": json.dumps(theirs.config.to_dict())}
    image, text = of_ours(through_a_file(theirs.state_dict(), "model.safetensors", beside), images)
    assert text is not None
    found = theirs(input_ids=_clip_ids(), pixel_values=normalised(images, MEAN, STD))
    library = f"transformers {transformers.__version__}"
    return Features((image, found.image_embeds), (text, found.text_embeds), library)


@torch.no_grad()
def from_hf_dual(sources: Path | None) -> Features:
    """`VisionTextDualEncoderModel` of a base ViT, whose pooler changes nothing, and CLIP's text tower."""
    del sources
    transformers = importlib.import_module("transformers")
    vit = transformers.ViTConfig(pooler_act="linear", pooler_output_size=768)
    kind = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        vit, transformers.CLIPTextConfig(bos_token_id=49406, eos_token_id=49407)
    )
    theirs = random_weights(transformers.VisionTextDualEncoderModel(kind))
    pooler = theirs.vision_model.pooler.dense
    pooler.weight.copy_(torch.eye(768))
    pooler.bias.zero_()
    images = pixels(224)
    with folder() as place:
        theirs.save_pretrained(place)
        foreign = recognised(read(place))
    image, text = of_ours(foreign, images)
    assert text is not None
    found = theirs(input_ids=_clip_ids(), pixel_values=normalised(images, *_HALVES))
    library = f"transformers {transformers.__version__}"
    return Features((image, found.image_embeds), (text, found.text_embeds), library)


@torch.no_grad()
def from_slip(name: str, sources: Path | None) -> Features:
    """SLIP's own constructor; its batch norms, which synchronise GPUs, are in SimCLR's head alone."""
    root = _source(sources, "SLIP")
    timm = importlib.import_module("timm")
    importlib.import_module("timm.models.registry")
    with mock.patch.object(nn, "SyncBatchNorm", nn.BatchNorm1d):
        module = load(root / "models.py", root)
        options = {} if name.startswith("CLIP") else {"ssl_mlp_dim": 4096, "ssl_emb_dim": 256}
        theirs = random_weights(getattr(module, name)(**options))
    images = pixels(224)
    image, text = of_ours(slip_checkpoint(theirs.state_dict(), name), images)
    seen, library = normalised(images, *_IMAGENET), f"SLIP, timm {timm.__version__}"
    if text is None:
        return Features((image, theirs.encode_image(seen)), None, library)
    tokens = load(root / "tokenizer.py", root).SimpleTokenizer(root / "bpe_simple_vocab_16e6.txt.gz")(TEXTS)
    both = F.normalize(theirs.encode_image(seen)), F.normalize(theirs.encode_text(tokens))
    return Features((image, both[0]), (text, both[1]), library)


@torch.no_grad()
def to_open_clip(name: str) -> Features:
    """One of our models as files that `open_clip.create_model` loads."""
    open_clip = importlib.import_module("open_clip")
    model, images = models.find(name), pixels(models.find(name).image.size)
    tokenizer = ClipTokenizer(model.text.context)
    ours = towers(model, tokenizer)
    random_weights(ours.modules)
    with folder() as place:
        found = expressed(model, tokenizer, folder=place)
        config = {"model_cfg": found.model_cfg, "preprocess_cfg": found.preprocess_cfg}
        for file, content in ({"open_clip_config.json": config} | dict(found.beside)).items():
            (place / file).write_text(json.dumps(content))
        save_file(found.table.outward(ours.tensors), place / MODEL)
        theirs = open_clip.create_model(f"local-dir:{place}").eval()
        tokens = open_clip.get_tokenizer(f"local-dir:{place}")(TEXTS)
    image = theirs.encode_image(normalised(images, model.image.mean, model.image.std), True)
    text = ours.text(TEXTS), theirs.encode_text(tokens, True)
    return Features((ours.image(images), image), text, f"open_clip {open_clip.__version__}", found.way)


@torch.no_grad()
def to_hf(name: str, changes: dict[str, Any]) -> Features:
    """One of our models, with a norm before its blocks, as a folder that `CLIPModel` loads."""
    transformers = importlib.import_module("transformers")
    model: ModelConfig = override(models.find(name), changes)
    tokenizer, images = ClipTokenizer(model.text.context), pixels(model.image.size)
    ours = towers(model, tokenizer)
    random_weights(ours.modules)
    with folder() as place:
        save_file(hf_clip.table(model).outward(ours.tensors), place / "model.safetensors", {"format": "pt"})
        (place / "config.json").write_text(json.dumps(hf_clip_export.config_of(model, tokenizer)))
        theirs = transformers.CLIPModel.from_pretrained(place).eval()
    seen = normalised(images, model.image.mean, model.image.std)
    found = theirs(input_ids=tokenizer(TEXTS).ids, pixel_values=seen)
    library, how = (
        f"transformers {transformers.__version__}",
        ", ".join(f"{k}={v}" for k, v in changes.items()),
    )
    both = (ours.image(images), found.image_embeds), (ours.text(TEXTS), found.text_embeds)
    return Features(*both, library, how)


def _clip_ids() -> Tensor:
    """By open_clip's tokenizer, a copy of OpenAI's, which cannot be had without its package."""
    return importlib.import_module("open_clip").tokenizer.SimpleTokenizer()(TEXTS)


def _source(sources: Path | None, name: str) -> Path:
    if sources is None or not (sources / name).is_dir():
        raise ArgumentTypeError(f"--sources must name a folder with a checkout called {name}")
    return sources / name


CASES = [
    *(
        Case("open_clip", "in", f"{name}{end}", lambda sources, n=name + end: from_open_clip(n))
        for name in _OPEN_CLIP
        for end in ("", "-quickgelu")
    ),
    *(Case("OpenAI", "in", name, lambda sources, n=name: from_openai(n, sources)) for name in _OPENAI),
    Case("Hugging Face CLIP", "in", "CLIPModel, ViT-B/32", from_hf),
    Case("Hugging Face's dual encoder", "in", "ViT-B/16 and CLIP's text tower", from_hf_dual),
    *(Case("SLIP", "in", name, lambda sources, n=name: from_slip(n, sources)) for name in _SLIP),
    *(Case("open_clip", "out", name, lambda sources, n=name: to_open_clip(n)) for name in _OURS),
    *(Case("Hugging Face CLIP", "out", name, lambda s, n=name, c=c: to_hf(n, c)) for name, c in _HF.items()),
]
