"""Image encoders of the installed timm, torchvision and transformers read by us, and ours built by them.

MAE's and MoCo v3's own classes are asked by record_image_encoders.py alone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from formula import fill
from image_encoders import HUGGING_FACE, RESNETS, TIMM, Peer, answers
from safetensors.torch import save_file
from towers_of import agree, loaded, pixels, stir, tiny, towers

from sightword.recipes import models
from sightword.weights import hf_vit, timm_resnet, timm_vit
from sightword.weights.families import recognised
from sightword.weights.reading import Read, read
from sightword.weights.timm_told import known_vits


@pytest.fixture(autouse=True)
def _float64() -> None:
    """Not here: files hold float32."""


@pytest.mark.parametrize("case", [*TIMM, *RESNETS, *HUGGING_FACE])
def test_theirs_read(peer: Peer, case: str) -> None:
    found = answers(case, peer, {})
    foreign = recognised(Read(case, found.tensors, found.config))
    scale = found.features.abs().max()
    made = loaded(foreign).image(found.images)
    print(agree(made / scale, (found.features / scale).float()))


OURS = {
    "class": {},
    "mean": {"pool": "gap"},
    "mean, normed after": {"pool": "gap", "norm_after_pool": True, "class_token": True},
    "maximum": {"pool": "max", "mlp_ratio": 3.4},
    "query": {"pool": "attention", "activation": "gelu_tanh"},
    "fixed positions": {"positions": "sincos"},
    "pre-norm": {"pre_norm": True, "activation": "quick_gelu", "eps": 1e-5},
}


@pytest.mark.parametrize("case", OURS)
def test_ours_as_timm_builds_it(peer: Peer, case: str, tmp_path: Path) -> None:
    """Written as files, built by `timm.create_model`, and read by us again."""
    timm, model = peer("timm"), tiny(**OURS[case])
    assert timm_vit.why_not(model) is None
    ours = towers(model, None)
    stir(ours.modules)
    (tmp_path / "config.json").write_text(json.dumps(timm_vit.config_of(model)))
    save_file(timm_vit.table(model).outward(ours.tensors), tmp_path / "model.safetensors")
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    images = pixels(16)
    with torch.no_grad():
        expected = theirs(ours.modules["towers"]["image"].normalise(images))
    print(
        agree(ours.image(images), expected), agree(loaded(recognised(read(tmp_path))).image(images), expected)
    )


def test_our_resnet_as_timm_builds_it(peer: Peer, tmp_path: Path) -> None:
    timm = peer("timm")
    image = replace(models.rn50().image, kind="standard-resnet", layers=(2, 2, 2, 2), bottleneck=False)
    model = replace(tiny(), image=replace(image, pool="gap", size=64))
    assert timm_resnet.why_not(model) is None
    ours = towers(model, None)
    fill(ours.modules)
    (tmp_path / "config.json").write_text(json.dumps(timm_resnet.config_of(model)))
    save_file(timm_resnet.table(model).outward(ours.tensors), tmp_path / "model.safetensors")
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    images = pixels(64)
    with torch.no_grad():
        expected = theirs(ours.modules["towers"]["image"].normalise(images))
    scale = expected.abs().max()
    print(agree(ours.image(images) / scale, expected / scale))
    assert replace(recognised(read(tmp_path)).model.image, heads=image.heads) == model.image


def test_ours_as_transformers_builds_it(peer: Peer, tmp_path: Path) -> None:
    transformers, model = peer("transformers"), tiny(mlp_ratio=3.0, eps=1e-4, activation="gelu_tanh")
    assert hf_vit.why_not(model) is None
    ours = towers(model, None)
    stir(ours.modules)
    (tmp_path / "config.json").write_text(json.dumps(hf_vit.config_of(model)))
    tensors = hf_vit.table(model).outward(ours.tensors)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    theirs = transformers.ViTModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    images = pixels(16)
    with torch.no_grad():
        seen = ours.modules["towers"]["image"].normalise(images)
        expected = theirs(seen).last_hidden_state[:, 0]
    print(agree(ours.image(images), expected))
    assert recognised(read(tmp_path)).model.image.eps == 1e-4


@pytest.mark.slow
def test_facts_of_timms_vits_are_timms(peer: Peer) -> None:
    """Of every architecture that can be read here by its name."""
    timm = peer("timm")
    kinds = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu"}
    assert set(known_vits()) <= set(timm.list_models())
    for name, facts in known_vits().items():
        with torch.device("meta"):
            made = timm.create_model(name, weight_init="skip")
        block = made.blocks[0]
        act = kinds[type(block.mlp.act).__name__]
        shape = made.embed_dim, len(made.blocks), block.attn.num_heads
        assert (*shape, block.norm1.eps, act) == facts, name


def test_partial_names_are_not_taken_for_timms() -> None:
    """A state dict of something else with some of its names is nobody's, or refused by name."""
    assert not timm_vit.recognises(Read("x", {"patch_embed.proj.weight": torch.zeros(1)}))
    assert not timm_resnet.recognises(Read("x", {"conv1.weight": torch.zeros(1)}))
