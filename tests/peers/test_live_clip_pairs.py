"""CLIP models of the installed open_clip and transformers read by us, and ours built by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from clip_pairs import CONTEXT, OPEN_CLIP, hf_answers, open_clip_answers
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from towers_of import TEXTS, Towers, agree, clip_words, learned, loaded, pixels, stir, tiny, towers

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import ClipTokenizer, Tokenizer
from sightword.recipes import models
from sightword.weights import hf_clip, hf_clip_export, open_clip_clip
from sightword.weights.foreign import Foreign
from sightword.weights.open_clip_export import expressed
from sightword.weights.reading import Read, read

Peer = Callable[[str], ModuleType]


@pytest.fixture(autouse=True)
def _float64() -> None:
    """Not here: files hold float32."""


def read_again(foreign: Foreign, images: Tensor, image: Tensor, text: Tensor) -> None:
    made = loaded(foreign)
    print(agree(made.image(images), image), agree(made.text(TEXTS), text))


@pytest.mark.parametrize("case", OPEN_CLIP)
def test_open_clip_read(peer: Peer, case: str) -> None:
    found = open_clip_answers(case, peer("open_clip"))
    foreign = open_clip_clip.read(Read(case, found.tensors, found.config))
    read_again(foreign, found.images, found.image, found.text)


def test_hugging_face_read(peer: Peer) -> None:
    found = hf_answers(peer("transformers"), ClipTokenizer(CONTEXT)(TEXTS).ids)
    foreign = hf_clip.read(Read("hf", found.tensors, found.config))
    read_again(foreign, found.images, found.image, found.text)


def both_quick(model: ModelConfig) -> ModelConfig:
    return replace(model, image=replace(model.image, activation="quick_gelu"))


def neither_quick(model: ModelConfig) -> ModelConfig:
    return replace(model, text=replace(model.text, activation="gelu"))


RESNET = replace(tiny(), image=replace(models.rn50().image, size=64, width=8, layers=(1, 1, 1, 1), heads=4))
EXPRESSED = {
    "SLIP's ViT, whose text is quick": (tiny(), "timm from this folder"),
    "no class token, mean": (tiny(pool="gap"), "timm from this folder"),
    "maximum": (tiny(pool="max"), "timm from this folder"),
    "a query": (tiny(pool="attention"), "timm from this folder"),
    "fixed positions": (tiny(positions="sincos"), "timm from this folder"),
    "a norm before, for timm": (tiny(pre_norm=True), "timm from this folder"),
    "both quick": (both_quick(tiny()), "open_clip"),
    "neither quick": (neither_quick(tiny(positions="sincos", mlp_ratio=3.3)), "open_clip"),
    "a mean beside a class token": (
        neither_quick(tiny(pool="gap", class_token=True, norm_after_pool=True, activation="gelu_tanh")),
        "open_clip",
    ),
    "OpenAI's ResNet, projected": (RESNET, "open_clip"),
}


@pytest.mark.parametrize("tokenizer", [clip_words, learned], ids=["clip", "learned"])
@pytest.mark.parametrize(("model", "way"), EXPRESSED.values(), ids=list(EXPRESSED))
def test_ours_as_open_clip_builds_it(
    peer: Peer, tmp_path: Path, model: ModelConfig, way: str, tokenizer: Callable[[], Tokenizer]
) -> None:
    """Written as files, loaded by `open_clip.create_model`, and read by us again."""
    open_clip = peer("open_clip")
    words = tokenizer()
    ours = towers(model, words, bias=True)
    stir(ours.modules, scale=0.3)
    found = expressed(model, words, bias=True, folder=tmp_path)
    assert found.way == way
    config = {"model_cfg": found.model_cfg, "preprocess_cfg": found.preprocess_cfg}
    for name, content in ({"open_clip_config.json": config} | dict(found.beside)).items():
        (tmp_path / name).write_text(json.dumps(content))
    save_file(found.table.outward(ours.tensors), tmp_path / "open_clip_model.safetensors")
    if words.vocab != clip_words().vocab:
        words.save(tmp_path / "tokenizer.json")
    theirs, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    images = pixels(model.image.size)
    seen = torch.stack([prepare(Image.fromarray(np.asarray(one.permute(1, 2, 0)))) for one in images])
    with torch.no_grad():
        image, text = theirs.eval().encode_image(seen, True), theirs.encode_text(words(TEXTS).ids, True)
    print(agree(ours.image(images), image), agree(ours.text(TEXTS), text))
    assert theirs.logit_bias.item() == pytest.approx(float(ours.tensors["joint.logit_bias"]))
    read_again(open_clip_clip.read(read(tmp_path)), images, image, text)


@pytest.mark.parametrize("name", sorted(models.names()))
def test_every_model_has_a_way_or_a_reason(peer: Peer, name: str, tmp_path: Path) -> None:
    """What timm is told to build exists under its name, with the shapes of ours."""
    timm, model = peer("timm"), models.find(name)
    if name in {"resnet-tiny", "vit-tiny-conv"}:
        with pytest.raises(SightwordError, match="export to onnx"):
            expressed(model, clip_words(), folder=tmp_path)
        return
    found = expressed(model, clip_words(), folder=tmp_path)
    timm_name = found.model_cfg["vision_cfg"].get("timm_model_name", "")
    assert (found.way == "timm by name") == (timm_name in timm.list_models())
    for file, content in found.beside.items():
        (tmp_path / file).write_text(json.dumps(content))
    if timm_name:
        with torch.device("meta"):
            trunk = timm.create_model(timm_name, num_classes=0)
            ours = towers(model, clip_words())  # its text tower is not looked at
        meta = {k: torch.empty(v.shape, device="meta") for k, v in ours.tensors.items()}
        sent = {k: v.shape for k, v in found.table.outward(meta).items() if k.startswith("visual.trunk.")}
        assert sent == {f"visual.trunk.{k}": v.shape for k, v in trunk.state_dict().items()}


@pytest.mark.parametrize("tokenizer", [clip_words, learned], ids=["clip", "learned"])
def test_ours_as_hugging_face_builds_it(
    peer: Peer, tmp_path: Path, tokenizer: Callable[[], Tokenizer]
) -> None:
    """A learned vocabulary ends captions with 2, which transformers takes for "the highest id"."""
    transformers, words = peer("transformers"), tokenizer()
    model = tiny(pre_norm=True, mlp_ratio=3.0)
    ours: Towers = towers(model, words)
    stir(ours.modules)
    swapped = hf_clip_export.swapped_for(words)
    assert (swapped is not None) == (words.eot == 2)
    tensors = hf_clip.table(model, swapped).outward(ours.tensors)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(hf_clip_export.config_of(model, words)))
    words.save(tmp_path / "tokenizer.json")
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(hf_clip_export.exchanged(json.loads(file.read_text()), swapped)))
    foreign = hf_clip.read(read(tmp_path))
    assert foreign.tokenizer is not None
    theirs, images = transformers.CLIPModel.from_pretrained(tmp_path).eval(), pixels(16)
    seen = ours.modules["towers"]["image"].normalise(images)
    with torch.no_grad():
        found = theirs(input_ids=foreign.tokenizer(TEXTS).ids, pixel_values=seen)
    print(agree(ours.image(images), found.image_embeds), agree(ours.text(TEXTS), found.text_embeds))
    again = replace(foreign, model=replace(foreign.model, image=model.image))  # its mean and deviation
    again.tensors["towers.image.stem.bias"] = torch.zeros(16)  # type: ignore[index]
    read_again(again, images, found.image_embeds, found.text_embeds)
