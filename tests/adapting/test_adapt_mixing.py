"""Weights between two models: every tensor of the state, at the shares that are asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightword.adapting.mixing import hash_of, mixture
from sightword.errors import SightwordError


def network(seed: int) -> nn.Sequential:
    """Weights, and a batch norm that has seen some pictures."""
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    for parameter in made[1].parameters():
        nn.init.normal_(parameter)
    for _ in range(seed + 2):
        made(torch.randn(8, 3, 8, 8) * (seed + 1) + seed)
    return made.eval()


@pytest.fixture
def ends() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return network(0).state_dict(), network(1).state_dict()


def test_the_ends_are_the_two_models_to_the_bit(ends: tuple[dict[str, Tensor], dict[str, Tensor]]) -> None:
    for alpha, end in zip((0.0, 1.0), ends, strict=True):
        found = mixture(*ends, alpha)
        assert found.keys() == end.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in end.items())


def test_all_floats_lie_between_and_counts_are_the_later_models(
    ends: tuple[dict[str, Tensor], dict[str, Tensor]],
) -> None:
    start, end = ends
    found = mixture(start, end, 0.25)
    floats = [name for name, tensor in start.items() if tensor.is_floating_point()]
    assert {"1.running_mean", "1.running_var", "0.weight", "4.bias"} <= set(floats)
    for name in floats:
        assert not torch.equal(start[name], end[name]), name
        torch.testing.assert_close(found[name], 0.75 * start[name] + 0.25 * end[name])
        assert found[name].dtype == start[name].dtype
    assert (start["1.num_batches_tracked"], end["1.num_batches_tracked"]) == (2, 3)
    assert found["1.num_batches_tracked"] == 3


def test_the_mixture_computes_as_one_model(ends: tuple[dict[str, Tensor], dict[str, Tensor]]) -> None:
    """Halfway between two linear layers answers halfway between their answers."""
    one, other, mixed = nn.Linear(6, 3), nn.Linear(6, 3), nn.Linear(6, 3)
    mixed.load_state_dict(mixture(one.state_dict(), other.state_dict(), 0.5))
    rows = torch.randn(4, 6)
    torch.testing.assert_close(mixed(rows), (one(rows) + other(rows)) / 2)


def test_what_cannot_be_mixed_is_refused(ends: tuple[dict[str, Tensor], dict[str, Tensor]]) -> None:
    start, end = ends
    with pytest.raises(
        SightwordError, match=r"1 tensors are not in both or differ in shape, such as 4\.bias"
    ):
        mixture(start, {name: tensor for name, tensor in end.items() if name != "4.bias"}, 0.5)
    with pytest.raises(SightwordError, match=r"such as 0\.weight"):
        mixture(start, {**end, "0.weight": torch.zeros(4, 3, 1, 1)}, 0.5)
    with pytest.raises(SightwordError, match=r"alpha is 1\.5"):
        mixture(start, end, 1.5)


def test_a_hash_names_weights_and_nothing_else(ends: tuple[dict[str, Tensor], dict[str, Tensor]]) -> None:
    start, end = ends
    assert hash_of(start) == hash_of(dict(reversed(list(start.items())))) != hash_of(end)
    assert hash_of({"a": torch.tensor(1.0)}) != hash_of({"b": torch.tensor(1.0)})
    assert hash_of({"a": torch.ones(2, dtype=torch.bfloat16)}) != hash_of({"a": torch.zeros(2)})
