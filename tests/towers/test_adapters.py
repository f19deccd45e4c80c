"""Adapters merged into weights, against the definition in float64; tests/peers tries the library itself."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.towers.adapters import adapt, factor_of, merge, plain
from sightword.towers.build import build_image

FACTOR = 2.5


def adapted(dtype: torch.dtype) -> dict[str, Tensor]:
    """One adapted layer with a bias, one without adapters, by peft's names."""
    torch.manual_seed(0)
    shapes = {
        "b.0.qkv.base_layer.weight": (9, 5),
        "b.0.qkv.base_layer.bias": (9,),
        "b.0.qkv.lora_A.default.weight": (2, 5),
        "b.0.qkv.lora_B.default.weight": (9, 2),
        "norm.weight": (5,),
    }
    return {name: torch.randn(shape).to(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_sum_is_the_definitions(dtype: torch.dtype) -> None:
    given = adapted(dtype)
    found = merge(given, FACTOR)
    assert set(found) == {"b.0.qkv.weight", "b.0.qkv.bias", "norm.weight"}
    base, down, up = (
        given[f"b.0.qkv.{n}.weight"] for n in ("base_layer", "lora_A.default", "lora_B.default")
    )
    naive = base.double().clone()
    for i in range(9):
        for j in range(5):
            for r in range(2):
                naive[i, j] += FACTOR * up[i, r].double() * down[r, j].double()
    tolerance = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(found["b.0.qkv.weight"].double(), naive, rtol=tolerance, atol=1e-15)
    assert found["b.0.qkv.weight"].dtype == dtype
    assert found["b.0.qkv.bias"] is given["b.0.qkv.base_layer.bias"]
    assert found["norm.weight"] is given["norm.weight"]


def test_without_adapters_it_is_the_state_dict() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    found = plain(model)
    assert list(found) == list(model.state_dict())
    assert all(found[name].data_ptr() == tensor.data_ptr() for name, tensor in model.state_dict().items())
    assert factor_of(model) == 1.0


def test_towers_without_linear_layers_in_their_stages() -> None:
    config = ImageTowerConfig(
        "modified-resnet", size=32, width=4, layers=(1,) * 4, heads=4, patch_size=32, pool="attention"
    )
    with pytest.raises(SightwordError, match="no linear layers in its blocks"):
        adapt(build_image(config), 2, 2.0)


def test_without_the_library_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SightwordError, match=r"needs the package peft.*pip install 'sightword\[lora\]'"):
        adapt(build_image(ImageTowerConfig(size=16, width=24, layers=(1,), heads=2, patch_size=4)), 2, 2.0)
