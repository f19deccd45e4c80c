"""Linear layers by AMX and by torch, alone and around an activation: both the formula's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sightword.config import Activation
from sightword.towers import linear
from sightword.towers.blocks import MLP, activation_of
from sightword.towers.native import linear as native
from sightword.towers.native.tiled import BLOCK, Tiled

SHAPES = [(32, 32, 32), (33, 64, 96), (255, 96, 64), (257, 448, 32), (600, 32, 800), (543, 1536, 64)]
SHAPES += [(545, 544, 576), (97, 1216, 512)]  # rows that are packed, forward and back or forward alone
HERE = native.usable(32, 32, 32)
NO_AMX = "no AMX here, or no kernel"
AMX = pytest.param("amx", marks=pytest.mark.skipif(not HERE, reason=NO_AMX))
ACTIVATIONS: tuple[Activation, ...] = ("gelu", "gelu_tanh", "quick_gelu")


def _away(ours: Tensor | None, truth: Tensor) -> float:
    assert ours is not None
    return float((ours.detach().double() - truth.detach()).norm() / truth.detach().norm().clamp_min(1e-9))


def _wide(module: nn.Module) -> Any:
    """Its linear layers in float64, with the weights that bfloat16 leaves of its own."""
    wide = [
        nn.Linear(m.in_features, m.out_features, m.bias is not None).double()
        for m in module.modules()
        if isinstance(m, nn.Linear)
    ]
    for one, other in zip(wide, (m for m in module.modules() if isinstance(m, nn.Linear)), strict=True):
        one.weight.data = other.weight.detach().bfloat16().double()
        if other.bias is not None:
            one.bias.data = other.bias.detach().double()
    return wide


def _by_autocast(call: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer: Tensor = call(x)
    return answer


def _by_row(tiled: Tiled) -> Tensor:
    """Rows one after the other; of the last blocks those that are not in others."""
    rows, n = tiled.shape
    lines, rest = tiled.numbers.transpose(1, 2).reshape(-1, n), rows % BLOCK
    return torch.cat([lines[: rows - rest], lines[len(lines) - rest :]])


def _nodes(answer: Tensor) -> set[str]:
    """Names of what its backward pass goes through."""
    found, left = set[str](), [answer.grad_fn]
    while left:
        node = left.pop()
        if node is not None:
            found.add(node.name())
            left += [before for before, _ in node.next_functions]
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("way", [AMX, "torch"])
def test_gradients_are_those_of_the_formula(
    shape: tuple[int, int, int], biased: bool, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "torch":
        monkeypatch.setattr(native, "usable", lambda *sizes: False)
    rows, n, out = shape
    torch.manual_seed(rows)
    layer = nn.Linear(n, out, biased)
    x = torch.randn(rows, n).bfloat16().requires_grad_()
    answer = _by_autocast(lambda x: linear.applied(layer, x), x)
    sent = torch.randn_like(answer)
    answer.backward(sent)
    (wide,) = _wide(layer)
    given = x.detach().double().requires_grad_()
    truth = wide(given)
    truth.backward(sent.double())
    assert ("_LinearBackward" in _nodes(answer)) == (way == "amx")
    assert answer.dtype == x.dtype == torch.bfloat16
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    assert _away(answer, truth) < 2**-8
    assert _away(x.grad, given.grad) < 2**-8
    exact = 1e-6 if way == "amx" else 2**-8
    assert _away(layer.weight.grad, wide.weight.grad) < exact
    if biased:
        assert _away(layer.bias.grad, wide.bias.grad) < exact


@pytest.mark.parametrize("shape", [(3, 37, 64), (2, 300, 96), (2, 99, 384)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.skipif(not HERE, reason=NO_AMX)
def test_a_perceptron_is_no_further_from_the_formula_than_torchs(
    shape: tuple[int, ...], activation: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(shape[2])
    mlp = MLP(shape[2], 4 * shape[2], activation)
    given = torch.randn(shape)
    one, two = _wide(mlp)
    exact = given.bfloat16().double().requires_grad_()
    truth = two(activation_of(activation)(one(exact)))
    sent = torch.randn_like(truth).bfloat16()
    truth.backward(sent.double())
    wanted = [truth, exact.grad, one.weight.grad, one.bias.grad, two.weight.grad, two.bias.grad]

    def found() -> list[float]:
        mlp.zero_grad()
        x = given.clone().requires_grad_()
        answer = _by_autocast(mlp, x)
        answer.backward(sent)
        own = [mlp.fc1.weight.grad, mlp.fc1.bias.grad, mlp.fc2.weight.grad, mlp.fc2.bias.grad]
        assert x.grad is not None
        assert x.grad.dtype == torch.float32
        return [_away(a, b) for a, b in zip([answer, x.grad, *own], wanted, strict=True)]

    ours = found()
    monkeypatch.setattr(native, "usable", lambda *sizes: False)
    torchs = found()
    assert ours != torchs
    assert all(a < max(1.05 * b, 1e-6) for a, b in zip(ours, torchs, strict=True)), (ours, torchs)


@pytest.mark.skipif(not HERE, reason=NO_AMX)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_hold_over_all_numbers(activation: Activation) -> None:
    """A layer of identity shows an activation and its slope, each within rounding, tails included."""
    values = torch.cat(
        [torch.linspace(-14, 14, 32 * 511), torch.logspace(-20, 30, 32), -torch.logspace(-20, 30, 32)]
    )
    x = values.bfloat16().view(-1, 32)
    found = native.activated(x, torch.eye(32), None, native.ACTIVATIONS[activation])
    answer, slope = map(_by_row, found)
    wide = x.double().requires_grad_()
    truth = activation_of(activation)(wide)
    (rise,) = torch.autograd.grad(truth.sum(), wide)
    near = 2**-8 * truth.detach().abs() + 3e-7 * x.double().abs().clamp(1e-6, 20)
    assert ((answer.double() - truth).abs() <= near).all()
    assert ((slope.double() - rise).abs() <= 2**-8 * rise.abs() + 3e-6).all()


@pytest.mark.skipif(not HERE, reason=NO_AMX)
def test_what_is_not_finite_stays_so() -> None:
    x = torch.zeros(32, 32).bfloat16()
    x[3, 5] = torch.nan
    answer, slope = map(_by_row, native.activated(x, torch.eye(32), None, native.ACTIVATIONS["gelu"]))
    assert answer[3].isnan().all()
    assert slope[3].isnan().all()
    assert answer.isfinite().sum() == 31 * 32


@pytest.mark.skipif(not HERE, reason=NO_AMX)
@pytest.mark.parametrize("shape", [(700, 160, 96), (1030, 64, 256), (1030, 416, 512)])
def test_threads_change_no_bit(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    rows, n, out = shape
    torch.manual_seed(0)
    x, sent = torch.randn(rows, n).bfloat16(), torch.randn(rows, out).bfloat16()
    weight, bias = torch.randn(out, n), torch.randn(out)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        monkeypatch.setattr(native, "_WORTH_A_THREAD", 2**10)
        made, slope = native.activated(x, weight, bias, 1)
        back = native.to_activated(x, weight.t().contiguous(), slope)
        inner = native.linear(made, weight.t().contiguous(), None), *native.to_weight(x, made, True)
        outer = native.to_input(back, weight), *native.to_weight(back, x, True)
        plain = native.linear(x, weight, bias), native.to_input(sent, weight)
        tiled = made.numbers, slope.numbers, back.numbers
        found.append([*plain, *native.to_weight(sent, x, True), *inner, *outer, *tiled])
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


@pytest.mark.skipif(not HERE, reason=NO_AMX)
def test_many_rows_are_each_what_a_few_are() -> None:
    """Answers that are too large for the caches are written past them."""
    torch.manual_seed(3)
    x, weight, bias = torch.randn(3200, 96).bfloat16(), torch.randn(768, 96), torch.randn(768)

    def worked(given: Tensor) -> tuple[Tensor, ...]:
        made, slope = native.activated(given, weight, bias, 1)
        return made.numbers, slope.numbers, native.linear(given, weight, bias).view(-1, 32, 768)

    few = [worked(part) for part in x.split(640)]
    for i, whole in enumerate(worked(x)):
        assert torch.equal(whole, torch.cat([one[i] for one in few]))


@pytest.mark.skipif(not HERE, reason=NO_AMX)
def test_an_mlp_learns_by_them_in_bfloat16_alone() -> None:
    mlp = MLP(64, 256)
    x = torch.randn(2, 20, 64)

    def seen(x: Tensor) -> set[str]:
        return {name for name in _nodes(_by_autocast(mlp, x)) if name.startswith("_")}

    assert seen(x) == {"_PerceptronBackward"}
    assert not seen(x[:1])  # fewer than 32 rows
    with FlopCounterMode(display=False) as counter:
        assert not seen(x)
    assert counter.get_total_flops() == 2 * 40 * 8 * 64**2
    mlp.fc1.register_forward_hook(lambda *_: None)
    assert not seen(x)
    mlp.fc2.requires_grad_(False)
    with torch.no_grad():
        assert not seen(x)


def test_float32_and_odd_numbers_are_left_to_torch() -> None:
    x, layer = torch.randn(64, 64), nn.Linear(64, 64)
    assert torch.equal(linear.applied(layer, x), layer(x))
    for odd in (nn.Linear(64, 48), nn.Linear(48, 64), nn.Linear(64, 64).bfloat16()):
        given = torch.randn(64, odd.in_features)
        assert torch.equal(
            _by_autocast(lambda x, odd=odd: linear.applied(odd, x), given), _by_autocast(odd, given)
        )
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert torch.equal(linear.applied(layer, x), F.linear(x, layer.weight, layer.bias))
