"""timm's state dicts: what cannot be read is refused in one line that names it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from sightword.config import ImageTowerConfig, ModelConfig
from sightword.errors import SightwordError
from sightword.towers.build import build_image
from sightword.weights import timm_resnet, timm_vit
from sightword.weights.families import recognised
from sightword.weights.preparation import of_hugging_face, of_timm
from sightword.weights.reading import Read

SMALL = ImageTowerConfig(size=32, width=384, layers=(12,), heads=6, patch_size=16)
NAMED = {"architecture": "vit_small_patch16_224", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}


def theirs(image: ImageTowerConfig = SMALL) -> dict[str, torch.Tensor]:
    room = timm_vit if image.kind == "vit" else timm_resnet
    torch.manual_seed(0)
    ours = {f"towers.image.{n}": t for n, t in build_image(image).state_dict().items()}
    return room.table(ModelConfig(image=image)).outward(ours)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return theirs()


def test_the_name_tells_the_heads(tensors: dict[str, torch.Tensor]) -> None:
    found = recognised(Read("w", tensors, NAMED))
    assert found.model.image == replace(SMALL, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.mark.parametrize(
    ("config", "like", "said"),
    [
        ({}, None, "cannot be seen.*--model vit-b16"),
        ({}, replace(SMALL, heads=12), "have 6 heads, and the model that --model names has 12; set"),
        ({}, replace(SMALL, layers=(6,)), "name one of the same shape"),
        (NAMED, replace(SMALL, heads=12), "has 6 heads .config.json., and .* has 12: leave --model out"),
        ({"architecture": "vit_base_patch16_224"}, None, "768 wide with 12 layers, but its weights are 384"),
        ({"architecture": "vit_small_patch14_dinov2"}, None, "are not known to be; known are plain ViTs"),
        ({**NAMED, "model_args": {"qk_norm": True}}, None, "model_args.qk_norm is True"),
        ({**NAMED, "model_args": {"act_layer": "silu"}}, None, "act_layer is 'silu'"),
        ({**NAMED, "global_pool": "avgmax"}, None, "global_pool is 'avgmax'"),
        ({**NAMED, "global_pool": "map"}, None, "pooled by 'map', which its tensors cannot be"),
        ({**NAMED, "pretrained_cfg": {"mean": [103.5, 116.3, 123.7], "std": [57.0] * 3}}, None, "BGR"),
    ],
)
def test_what_is_not_told_or_contradicts(
    tensors: dict[str, torch.Tensor], config: dict[str, Any], like: ImageTowerConfig | None, said: str
) -> None:
    with pytest.raises(SightwordError, match=said) as error:
        recognised(Read("w", tensors, config, like=like))
    assert "\n" not in str(error.value)


def test_a_model_of_the_same_shape_tells_what_is_missing(tensors: dict[str, torch.Tensor]) -> None:
    found = recognised(Read("w", tensors, like=replace(SMALL, eps=1e-5)))
    assert (found.model.image.heads, found.model.image.eps) == (6, 1e-5)
    assert any("--model" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blocks.0.ls1.gamma", "LayerScale"),
        ("reg_token", "register tokens"),
        ("blocks.0.attn.q_norm.weight", "normalised queries and keys"),
        ("blocks.3.mlp.w12.weight", "SwiGLU"),
        ("blocks.0.strange", "blocks.0.strange is unknown"),
    ],
)
def test_strange_options_are_refused_by_name(tensors: dict[str, torch.Tensor], name: str, said: str) -> None:
    with pytest.raises(SightwordError, match=said):
        recognised(Read("w", {**tensors, name: torch.zeros(1)}, NAMED))


RESNET = ImageTowerConfig(
    kind="standard-resnet", width=64, layers=(2, 2, 2, 2), patch_size=32, pool="gap", bottleneck=False
)


@pytest.mark.parametrize(
    ("change", "config", "said"),
    [
        ({"layer1.0.se.fc1.weight": torch.zeros(1)}, {}, "squeeze and excitation"),
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, {}, "stem of 3 x 3"),
        ({"layer1.0.conv2.weight": torch.zeros(64, 2, 3, 3)}, {}, "ResNeXt"),
        ({"bn1.running_mean": None}, {}, "no running statistics"),
        ({}, {"architecture": "resnet50"}, "'resnet50', but its weights have"),
        ({}, {"architecture": "resnet18", "global_pool": "catavgmax"}, "wanted avg or max"),
    ],
)
def test_other_resnets_are_refused_by_name(
    change: dict[str, torch.Tensor | None], config: dict[str, Any], said: str
) -> None:
    found = {name: one for name, one in {**theirs(RESNET), **change}.items() if one is not None}
    with pytest.raises(SightwordError, match=said):
        recognised(Read("w", found, config))


def test_preparation_is_read_or_refused() -> None:
    said = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3, "size": {"shortest_edge": 248}}
    found, notes = of_hugging_face({**said, "do_center_crop": True}, 224, "p.json")
    assert found == {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "resize": "shortest"}
    assert "resized to 248 pixels" in notes[0]
    assert of_hugging_face({**said, "size": {"height": 224, "width": 224}}, 224, "p")[0]["resize"] == "squash"
    for change, why in ({"rescale_factor": 1.0}, "1/255"), ({"resample": 1}, "bilinear or bicubic"):
        with pytest.raises(SightwordError, match=why):
            of_hugging_face({**said, **change}, 224, "p.json")
    _, notes = of_timm({"mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.875}, 224, "c.json")
    assert "resized to 256 pixels" in notes[0]
    with pytest.raises(SightwordError, match="crop_mode is 'border'"):
        of_timm({"mean": [0.5] * 3, "std": [0.5] * 3, "crop_mode": "border"}, 224, "c.json")


def test_why_a_tower_cannot_be_theirs() -> None:
    assert timm_vit.why_not(ModelConfig(image=SMALL)) is None
    assert "eps" in str(timm_vit.why_not(ModelConfig(image=replace(SMALL, eps=1e-3))))
    assert "stem" in str(timm_vit.why_not(ModelConfig(image=replace(SMALL, stem="conv"))))
    assert timm_resnet.why_not(ModelConfig(image=RESNET)) is None
    assert "no ResNet" in str(timm_resnet.why_not(ModelConfig(image=replace(RESNET, layers=(1, 1, 1, 1)))))
