"""The gradient of a convolution's weights: by AMX, by a matrix product, by torch, all the formula's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightword.towers import convolution
from sightword.towers.convolution import convolved
from sightword.towers.native import gradient

CASES = [  # batch, in, out, side, kernel, stride, padding
    (4, 3, 64, 16, 3, 2, 1),
    (5, 40, 96, 7, 3, 1, 1),
    (3, 64, 32, 9, 1, 2, 0),
    (2, 3, 32, 14, 7, 2, 3),
    (7, 33, 64, 5, 5, 1, 2),
    (1, 64, 64, 1, 3, 1, 1),
]
AMX = pytest.param(
    "amx", marks=pytest.mark.skipif(not gradient.usable(32), reason="no AMX here, or no kernel")
)


def _away(ours: Tensor, truth: Tensor) -> float:
    return float((ours.detach().double() - truth.detach()).norm() / truth.detach().norm().clamp_min(1e-9))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", [AMX, "product", "torch"])
def test_gradients_are_those_of_the_formula(
    case: tuple[int, ...], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "amx":
        monkeypatch.setattr(convolution, "usable", lambda channels: False)
    monkeypatch.setattr(convolution, "_SMALL", 0 if way == "torch" else 99)
    b, c, out, side, kernel, stride, padding = case
    torch.manual_seed(side)
    conv = nn.Conv2d(c, out, kernel, stride, padding, bias=False).to(memory_format=torch.channels_last)
    x = (
        torch.randn(b, c, side, side)
        .bfloat16()
        .contiguous(memory_format=torch.channels_last)
        .requires_grad_()
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = convolved(conv, x)
    sent = torch.randn_like(answer)
    to_x, to_weight = torch.autograd.grad(answer, [x, conv.weight], sent)
    wide = nn.Conv2d(c, out, kernel, stride, padding, bias=False).double()
    wide.weight.data = conv.weight.detach().bfloat16().double()
    given = x.detach().double().requires_grad_()
    truth = wide(given)
    expected = torch.autograd.grad(truth, [given, wide.weight], sent.double())
    assert answer.dtype == torch.bfloat16
    assert to_weight.dtype == torch.float32
    assert _away(answer, truth) < 2**-8
    assert _away(to_x, expected[0]) < 2**-8
    assert _away(to_weight, expected[1]) < (1e-5 if way == "amx" else 2**-8)


@pytest.mark.skipif(not gradient.usable(32), reason="no AMX here, or no kernel")
def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    sent, x = torch.randn(16, 8, 8, 64).bfloat16(), torch.randn(16, 8, 8, 64).bfloat16()
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(gradient.weight_gradient(sent, x, (3, 3), (1, 1), (1, 1)))
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_float32_and_what_is_not_plain_is_left_to_torch() -> None:
    x = torch.randn(2, 64, 4, 4).contiguous(memory_format=torch.channels_last)
    plain = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    assert "OwnGradient" not in str(convolved(plain, x).grad_fn)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "OwnGradient" in str(convolved(plain, x).grad_fn)
        for other in (
            nn.Conv2d(64, 64, 3, padding=1),
            nn.Conv2d(64, 64, 3, padding=1, bias=False, groups=2),
            nn.Conv2d(64, 64, 3, padding="same", bias=False),
            nn.Conv2d(64, 64, 3, padding=2, dilation=2, bias=False),
            nn.Conv2d(64, 64, 3, padding=1, bias=False, padding_mode="reflect"),
        ):
            assert "OwnGradient" not in str(convolved(other, x).grad_fn)
        with torch.no_grad():
            assert convolved(plain, x).grad_fn is None
