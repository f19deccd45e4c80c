"""Convolutions: by AMX, with their weights' gradient by a product, and by torch, all the formula's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sightword.towers import convolution
from sightword.towers.convolution import Pictures, convolved
from sightword.towers.native import convolution as native

CASES = [  # batch, in, out, side, kernel, stride, padding
    (4, 3, 64, 16, 3, 2, 1),
    (5, 40, 96, 7, 3, 1, 1),
    (3, 64, 32, 9, 1, 2, 0),
    (2, 3, 32, 14, 7, 2, 3),
    (7, 33, 64, 5, 5, 1, 2),
    (1, 64, 64, 1, 3, 1, 1),
    (32, 64, 96, 8, 3, 1, 1),
    (45, 32, 64, 7, 3, 2, 1),
    (33, 64, 32, 4, 1, 1, 0),
    (40, 96, 32, 5, 4, 3, 2),
    (32, 32, 64, 20, 3, 1, 1),
]
HERE = native.usable(32, 32, 32)
NO_AMX = "no AMX here, or no kernel"
AMX = pytest.param("amx", marks=pytest.mark.skipif(not HERE, reason=NO_AMX))


def _away(ours: Tensor, truth: Tensor) -> float:
    return float((ours.detach().double() - truth.detach()).norm() / truth.detach().norm().clamp_min(1e-9))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", [AMX, "product", "torch"])
def test_gradients_are_those_of_the_formula(
    case: tuple[int, ...], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "amx":
        monkeypatch.setattr(native, "usable", lambda *sizes: False)
    monkeypatch.setattr(convolution, "_SMALL", 0 if way == "torch" else 99)
    b, c, out, side, kernel, stride, padding = case
    torch.manual_seed(side)
    conv = nn.Conv2d(c, out, kernel, stride, padding, bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(b, c, side, side).bfloat16().contiguous(memory_format=torch.channels_last)
    x.requires_grad_(c % 32 == 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = convolved(conv, x)
    sent = torch.randn_like(answer)
    answer.backward(sent)
    wide = nn.Conv2d(c, out, kernel, stride, padding, bias=False).double()
    wide.weight.data = conv.weight.detach().bfloat16().double()
    given = x.detach().double().requires_grad_()
    truth = wide(given)
    expected = torch.autograd.grad(truth, [given, wide.weight], sent.double())
    assert answer.dtype == torch.bfloat16
    assert conv.weight.grad is not None
    assert conv.weight.grad.dtype == torch.float32
    assert _away(answer, truth) < 2**-8
    assert x.grad is None or _away(x.grad, expected[0]) < 2**-8
    exact = way == "amx" and b >= 32 and c % 32 == 0
    assert _away(conv.weight.grad, expected[1]) < (1e-5 if exact else 2**-8)
    if exact:
        assert "_Convolution" in str(answer.grad_fn)


@pytest.mark.parametrize(
    "case",
    [(64, 3, 64, 16, 3, 2, 1), (37, 5, 32, 9, 5, 1, 2), (41, 3, 32, 21, 7, 2, 3), (4, 3, 32, 8, 3, 1, 1)],
)
def test_pictures_are_normalised_and_convolved_at_once(case: tuple[int, ...]) -> None:
    b, c, out, side, kernel, stride, padding = case
    torch.manual_seed(side)
    conv = nn.Conv2d(c, out, kernel, stride, padding, bias=False).to(memory_format=torch.channels_last)
    pictures = Pictures(
        torch.randint(256, (b, c, side, side), dtype=torch.uint8), torch.rand(c) / 50, torch.rand(c)
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = convolved(conv, pictures)
    sent = torch.randn_like(answer)
    answer.backward(sent)
    seen = pictures.normalised()
    assert seen[1, 2, 3, 4] == pictures.bytes[1, 2, 3, 4] * pictures.scale[2] - pictures.shift[2]
    wide = nn.Conv2d(c, out, kernel, stride, padding, bias=False).double()
    wide.weight.data = conv.weight.detach().bfloat16().double()
    truth = wide(seen.bfloat16().double())
    truth.backward(sent.double())
    assert wide.weight.grad is not None
    assert conv.weight.grad is not None
    assert _away(answer, truth) < 2**-8
    exact = HERE and b >= 32
    assert _away(conv.weight.grad, wide.weight.grad) < (1e-5 if exact else 2**-8)


def test_a_mean_before_a_convolution_becomes_taps_of_its_kernel() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 32, 1, bias=False)
    x = torch.randn(32, 64, 9, 8).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = convolved(conv, x, pooled=2)
    sent = torch.randn_like(answer)
    answer.backward(sent)
    assert x.grad is not None
    assert conv.weight.grad is not None
    given, weight = x.detach().double().requires_grad_(), conv.weight.detach().bfloat16().double()
    weight.requires_grad_()
    truth = F.conv2d(F.avg_pool2d(given, 2), weight)
    truth.backward(sent.double())
    assert _away(answer, truth) < 2**-7
    assert _away(x.grad, given.grad) < 2**-7
    assert _away(conv.weight.grad, weight.grad) < 2**-7


@pytest.mark.skipif(not HERE, reason=NO_AMX)
@pytest.mark.parametrize("order", [(0, 2, 3, 1), (2, 3, 0, 1)])
def test_threads_and_order_of_memory_change_no_bit(
    order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    sent, x = torch.randn(40, 64, 8, 8).bfloat16(), torch.randn(40, 64, 8, 8).bfloat16()
    back = [order.index(dim) for dim in range(4)]
    x = x.permute(order).contiguous().permute(back)
    sent, weight = sent.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1), torch.randn(64, 64, 3, 3)
    weight = weight.contiguous(memory_format=torch.channels_last)
    plan = native.plan(x, (64, 64, 3, 3), (1, 1), (1, 1))
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        made = plan.convolve(x, weight), plan.to_input(sent, weight), plan.to_weight(sent, x)
        assert made[1].stride() == x.stride()
        found.append([one.clone(memory_format=torch.contiguous_format) for one in made])
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_float32_and_what_is_not_plain_is_left_to_torch() -> None:
    x = torch.randn(2, 64, 4, 4).contiguous(memory_format=torch.channels_last)
    plain = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    assert "_Convolution" not in str(convolved(plain, x).grad_fn)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "_Convolution" in str(convolved(plain, x).grad_fn)
        for other in (
            nn.Conv2d(64, 64, 3, padding=1),
            nn.Conv2d(64, 64, 3, padding=1, bias=False, groups=2),
            nn.Conv2d(64, 64, 3, padding="same", bias=False),
            nn.Conv2d(64, 64, 3, padding=2, dilation=2, bias=False),
            nn.Conv2d(64, 64, 3, padding=1, bias=False, padding_mode="reflect"),
        ):
            assert "_Convolution" not in str(convolved(other, x).grad_fn)
        with torch.no_grad():
            assert convolved(plain, x).grad_fn is None
