"""Options that weights from elsewhere need, against the twins: norms, activations, SigLIP's text, ResNets."""

from __future__ import annotations

from dataclasses import replace

import naive_towers as naive
import numpy as np
import pytest
import torch

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.build import build_image, build_text
from sightword.towers.joint_space import JointSpace
from sightword.words import Words

VIT = ImageTowerConfig(size=16, width=16, layers=(2,), heads=4, patch_size=4)
OPTIONS = {
    "pre-norm, no bias, quick": {
        "pre_norm": True,
        "stem_bias": False,
        "activation": "quick_gelu",
        "eps": 1e-5,
    },
    "large eps": {"eps": 1e-2, "activation": "gelu_tanh"},
    "a query": {"pool": "attention", "activation": "gelu_tanh", "eps": 1e-3},
    "norm after the mean": {"pool": "gap", "norm_after_pool": True},
    "norm after, class token aside": {"pool": "gap", "norm_after_pool": True, "class_token": True},
    "class token aside, maximum": {"pool": "max", "class_token": True, "positions": "sincos"},
    "class token aside, a query": {"pool": "attention", "class_token": True},
    "norm after the class token": {"norm_after_pool": True},
}
RESNET = ImageTowerConfig(
    kind="standard-resnet", size=64, width=4, layers=(1, 2, 1, 1), patch_size=32, pool="gap", bottleneck=False
)


def unsettled(module: torch.nn.Module) -> torch.nn.Module:
    """Zeros and ones hide faults."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn_like(tensor))
    return module.double().eval()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_vit(options: dict[str, object]) -> None:
    config = replace(VIT, **options)  # type: ignore[arg-type]
    tower = unsettled(build_image(config))
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    found, w = tower(images), naive.weights_of(tower)
    for row, image in enumerate(images.numpy()):
        pooled, tokens = naive.vit(image, w, config, range(16))
        np.testing.assert_allclose(found.pooled[row].detach(), pooled, atol=1e-6)
        np.testing.assert_allclose(found.tokens[row].detach(), tokens, atol=1e-6)


def test_a_class_token_aside_is_seen_by_the_others() -> None:
    tower = unsettled(build_image(replace(VIT, pool="gap", class_token=True)))
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    before = tower(images)
    assert not tower.facts.class_token
    assert before.tokens.shape == (2, 16, 16)
    with torch.no_grad():
        tower.class_token.add_(torch.randn_like(tower.class_token))
    assert (tower(images).pooled - before.pooled).abs().max() > 1e-4


def test_text_that_looks_at_padding() -> None:
    """SigLIP's: every place of the context is a word, and the last is the feature."""
    config = TextTowerConfig(
        16, 2, 4, 7, attention="padding-too", pool="last", activation="gelu_tanh", eps=1e-4
    )
    tower = unsettled(build_text(config, vocab=20, pad=1, eot=1))
    ids = torch.tensor([[5, 9, 1, 1, 1, 1, 1], [4, 4, 8, 3, 2, 6, 1]])
    found, w = tower(Words(ids, torch.tensor([3, 7]))), naive.weights_of(tower)
    for row in range(2):
        pooled, _ = naive.text(ids[row].tolist(), w, config, range(7))
        np.testing.assert_allclose(found.pooled[row].detach(), pooled, atol=1e-6)
    assert found.valid is not None
    assert found.valid.sum(1).tolist() == [3, 7]
    padded = ids.clone()
    padded[0, 3:] = 2
    changed = tower(Words(padded, torch.tensor([3, 7]))).pooled
    assert (changed[0] - found.pooled[0]).abs().max() > 1e-4


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("pool", ["gap", "max"])
def test_standard_resnet(bottleneck: bool, pool: str) -> None:
    config = replace(RESNET, bottleneck=bottleneck, pool=pool)  # type: ignore[arg-type]
    tower = unsettled(build_image(config))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    w = naive.weights_of(tower)
    for grad in (True, False):  # without gradients norms go into the kernels
        with torch.set_grad_enabled(grad):
            found = tower(images)
        for row, image in enumerate(images.numpy()):
            expected = naive.standard_resnet(image, w, config)
            np.testing.assert_allclose(found.pooled[row].detach(), expected, atol=1e-6)
    assert found.tokens.shape == (2, 4, tower.facts.token_width)


def test_standard_resnet_begins_as_its_shortcuts() -> None:
    tower = build_image(RESNET)
    assert all(not block.last_scale.any() for stage in (tower.layer1, tower.layer4) for block in stage)


@pytest.mark.parametrize("wrong", [{"pool": "class"}, {"layers": (1, 1, 1)}, {"patch_size": 16}])
def test_a_standard_resnet_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(SightwordError, match="ResNet"):
        build_image(replace(RESNET, **wrong))  # type: ignore[arg-type]


def test_joint_space_without_a_projection_and_with_a_bias() -> None:
    joint = JointSpace(8, 6, 8, project_image=False, text_bias=True)
    x, y = torch.randn(3, 8), torch.randn(3, 6)
    assert torch.allclose(joint.embed_image(x), x / x.norm(dim=1, keepdim=True), atol=1e-6)
    with torch.no_grad():
        joint.text.bias.fill_(2.0)
    expected = y @ joint.text.weight.T + 2.0
    assert torch.allclose(joint.embed_text(y), expected / expected.norm(dim=1, keepdim=True), atol=1e-6)
    assert {name for name, _ in joint.named_parameters()} == {"text.weight", "text.bias", "logit_scale"}
