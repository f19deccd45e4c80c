"""Exports, loaded by the libraries that they are for; skipped where these are not installed."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from models_to_export import SIGLIP, model_of, siglip_of
from safetensors.torch import load_file

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.export.exporting import RECORD, export_model
from sightword.export.target import Target
from sightword.export.targets import find
from sightword.pairs.words.siglip_tokenizer import Canon
from sightword.training.model import Model

PEERS = Path(__file__).resolve().parents[1] / "peers"
TEXT = TextTowerConfig(width=16, layers=1, heads=2, context=12)
SLIP = ImageTowerConfig(size=16, width=24, layers=(1,), heads=4, patch_size=8)
CLIP = replace(SLIP, pre_norm=True, activation="quick_gelu", eps=1e-5, stem_bias=False)
SQUASH = replace(SLIP, resize="squash", interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)
RESNET = ImageTowerConfig(
    kind="standard-resnet",
    size=32,
    width=64,
    layers=(2, 2, 2, 2),
    patch_size=32,
    pool="gap",
    bottleneck=False,
)
RN = ImageTowerConfig(
    kind="modified-resnet", size=32, width=8, layers=(1, 1, 1, 1), heads=4, patch_size=32, pool="attention"
)
TINY = ImageTowerConfig(kind="resnet", size=16, width=8, layers=(1, 1), patch_size=4, pool="gap")
BAG = replace(TEXT, layers=0, attention="bidirectional", pool="mean")
MODULES = {"open_clip": "open_clip", "hf": "transformers", "timm": "timm", "onnx": "onnxruntime"}


@pytest.fixture(scope="module", autouse=True)
def _torchvision() -> Iterator[object]:
    """Libraries that need torchvision load beside a torch that it was not built for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PEERS))
        yield importlib.import_module("torchvision_schemas").load_torchvision()


def exported(name: str, model: Model, out: Path) -> tuple[Target, list[str]]:
    """The export, which the library itself has loaded; what was said."""
    pytest.importorskip(MODULES[name], reason=f"{MODULES[name]} is not installed")
    done = export_model(model, find(name), out, out.parent)
    assert done.unchecked == ""
    assert all(one.holds for one in done.agreement)
    return find(name), list(done.lines())


@pytest.mark.parametrize("words", ["clip", "learned"])
@pytest.mark.parametrize("image", [SLIP, CLIP, SQUASH, RN], ids=["timm's", "its own", "squashed", "rn"])
def test_open_clip(image: ImageTowerConfig, words: str, tmp_path: Path) -> None:
    _, said = exported("open_clip", model_of(image, TEXT, words), tmp_path / "out")  # type: ignore[arg-type]
    assert [line.split(":")[0] for line in said[:2]] == ["13 pictures", "16 sentences"]
    config = json.loads((tmp_path / "out" / "open_clip_config.json").read_text())
    named = str(config["model_cfg"]["vision_cfg"].get("timm_model_name", ""))
    assert named in ("", f"local-dir:{tmp_path / 'out'}")


@pytest.mark.parametrize("words", ["clip", "learned"])
def test_transformers_clip(words: str, tmp_path: Path) -> None:
    _, said = exported("hf", model_of(CLIP, TEXT, words), tmp_path / "out")  # type: ignore[arg-type]
    assert len(said) == 3
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["CLIPModel"]
    assert config["text_config"]["eos_token_id"] != 2, "which stands for the highest id there"


@pytest.mark.parametrize("words", ["clip", "learned"])
@pytest.mark.parametrize("image", [SLIP, SQUASH], ids=["slip's", "squashed"])
def test_transformers_pair_of_slips_kind(image: ImageTowerConfig, words: str, tmp_path: Path) -> None:
    """Its features are compared by `exported`; the temperature and the processor are asked for here."""
    model, out = model_of(image, TEXT, words), tmp_path / "out"  # type: ignore[arg-type]
    _, said = exported("hf", model, out)
    assert [line.split(":")[0] for line in said[:2]] == ["13 pictures", "16 sentences"]
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModel.from_pretrained(out)
    assert type(theirs).__name__ == "VisionTextDualEncoderModel"
    assert same_temperature(model, theirs)
    both = transformers.AutoProcessor.from_pretrained(out)(text=["a red bus"], return_tensors="pt")
    assert both["input_ids"].tolist()[0][0] == model.tokenizer.sot
    assert "hands on the class token" in (out / "README.md").read_text()


def test_transformers_vit_alone(tmp_path: Path) -> None:
    _, said = exported("hf", model_of(SLIP, BAG), tmp_path / "out")
    assert said[0].startswith("note: the image tower alone, as ViTModel: Hugging Face's CLIP has a LayerNorm")
    assert not (tmp_path / "out" / "tokenizer.json").exists()
    assert "image-feature-extraction" in (tmp_path / "out" / "README.md").read_text()


def same_temperature(model: Model, theirs: torch.nn.Module) -> bool:
    joint = model.encoders.joint
    assert joint is not None
    return bool(torch.allclose(joint.scale(), theirs.logit_scale.exp()))


@pytest.mark.parametrize("bias", [True, False], ids=["sigmoid", "softmax"])
@pytest.mark.parametrize("canon", ["hugging-face", "open_clip", "lower-case"])
def test_transformers_siglip(canon: Canon, bias: bool, tmp_path: Path) -> None:
    model, out = siglip_of(canon=canon, bias=bias), tmp_path / "out"
    _, said = exported("hf", model, out)
    assert (said[0].startswith("note: it was trained without a bias of the logits")) != bias
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModel.from_pretrained(out)
    assert type(theirs).__name__ == "SiglipModel"
    assert same_temperature(model, theirs)
    assert theirs.logit_bias.item() == (model.encoders.joint.logit_bias.item() if bias else 0)  # type: ignore[union-attr]


def test_open_clip_siglip(tmp_path: Path) -> None:
    """At the real size of the picture tower, whose shape timm's name stands for; 93 million numbers."""
    image = replace(SIGLIP, size=224, width=768, layers=(12,), heads=12, patch_size=16, activation="gelu")
    model, out = siglip_of(image, "open_clip"), tmp_path / "out"
    exported("open_clip", model, out)
    config = json.loads((out / "open_clip_config.json").read_text())["model_cfg"]
    assert config["vision_cfg"]["timm_model_name"] == "vit_base_patch16_siglip_224"
    tensors = load_file(out / "open_clip_model.safetensors")  # strictly loaded a moment ago
    joint = model.encoders.joint
    assert joint is not None
    assert tensors["logit_scale"].exp() == joint.scale()
    assert tensors["logit_bias"] == joint.logit_bias


def test_siglips_picture_tower_as_timms(tmp_path: Path) -> None:
    exported("timm", siglip_of(), tmp_path / "out")


def test_a_bias_that_a_form_has_not_is_told(tmp_path: Path) -> None:
    model = model_of(SLIP, TEXT, "clip")
    joint = model.encoders.joint
    assert joint is not None
    joint.logit_bias = torch.nn.Parameter(torch.tensor([-3.0]))
    done = export_model(model, find("hf"), tmp_path / "out", tmp_path)
    assert done.told[0].startswith("left out: the learned bias of the logits")


@pytest.mark.parametrize("name", ["open_clip", "hf", "timm", "onnx"])
@pytest.mark.parametrize(
    ("tower", "kind", "reason"),
    [
        ("image", "timm", "its image tower is timm:convnext_tiny"),
        ("image", "hf", "its image tower is hf:convnext_tiny"),
        ("text", "hf", "its text tower is hf:convnext_tiny"),
    ],
)
def test_towers_of_another_library_are_named(
    name: str, tower: str, kind: str, reason: str, tmp_path: Path
) -> None:
    """Nothing of such a tower is built: its configuration says it."""
    model = model_of(SLIP, TEXT)
    towers = {tower: replace(getattr(model.config.model, tower), kind=kind, name="convnext_tiny")}
    model.config = replace(model.config, model=replace(model.config.model, **towers))
    with pytest.raises(SightwordError, match=rf"to {name}: {reason}, .*; use --to safetensors$") as said:
        export_model(model, find(name), tmp_path / "out", tmp_path)
    assert "\n" not in str(said.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pool", ["class", "gap", "max", "attention"])
def test_timm_vit(pool: str, tmp_path: Path) -> None:
    image = replace(SQUASH, pool=pool)  # type: ignore[arg-type]
    _, said = exported("timm", model_of(image, text=None), tmp_path / "out")
    assert [line.split(":")[0] for line in said[:1]] == ["13 pictures"]


def test_clips_picture_tower_as_timms(tmp_path: Path) -> None:
    """With a norm before its blocks, QuickGELU, and no bias in its stem."""
    exported("timm", model_of(CLIP, TEXT), tmp_path / "out")


def test_timm_resnet_leaves_captions_behind_and_says_so(tmp_path: Path) -> None:
    _, said = exported("timm", model_of(RESNET, TEXT), tmp_path / "out")
    assert said[0] == "note: the image tower alone; timm has no captions"
    assert json.loads((tmp_path / "out" / RECORD).read_text())["told"] == [said[0].removeprefix("note: ")]


@pytest.mark.parametrize(
    ("name", "image", "text", "reason"),
    [
        ("open_clip", TINY, TEXT, "neither open_clip nor timm has this package's small ResNet"),
        ("open_clip", SLIP, BAG, "open_clip's text tower is causal"),
        ("open_clip", SLIP, None, "this one sees pictures alone"),
        ("hf", TINY, TEXT, "CLIP has a ViT with the patch stem alone"),
        ("timm", TINY, TEXT, "timm's ViT has patches, not this tower's stem"),
        ("timm", RN, TEXT, "timm's ViT has patches"),
    ],
)
def test_what_a_library_has_not_is_refused_before_anything_is_written(
    name: str, image: ImageTowerConfig, text: TextTowerConfig | None, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(SightwordError, match=rf"{reason}.*; use --to .*onnx or safetensors"):
        export_model(model_of(image, text), find(name), tmp_path / "out", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["open_clip", "hf", "timm"])
def test_without_the_library_our_own_reader_reads_it_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    done = export_model(
        model_of(CLIP if name == "hf" else SLIP, TEXT, "clip"), find(name), tmp_path / "o", tmp_path
    )
    assert done.by.startswith("sightword")
    assert done.unchecked.startswith(f"{MODULES[name]} cannot be imported here")
    assert all(one.holds for one in done.agreement)
    assert len(done.agreement) == (1 if name == "timm" else 2)


def test_without_onnx_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SightwordError, match=r"onnx cannot be imported.*: pip install 'sightword\[onnx\]'"):
        export_model(model_of(), find("onnx"), tmp_path / "out", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mask_tokens_stay_behind_and_that_is_told(tmp_path: Path) -> None:
    model = model_of(replace(SLIP, mask_token=True), None)
    model.encoders.towers["image"].mask_token = torch.nn.Parameter(torch.zeros(1, 1, 24))
    _, said = exported("timm", model, tmp_path / "out")
    assert said[0] == "note: left out: towers.image.mask_token, which features do not hang on"
