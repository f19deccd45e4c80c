"""Batch norm, sum and ReLU in one go: the numbers of torch's own, in float64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sightword.towers.batch_norm import BatchNorm1d, BatchNorm2d
from sightword.towers.fused_norm import fits
from sightword.towers.native import norm as native
from sightword.towers.native.library import current

pytestmark = pytest.mark.skipif(current() is None, reason="the native kernel was not built: no C compiler")
SHAPES = [(3, 5, 2, 3), (128, 64, 4, 4), (33, 128, 3, 5), (37, 70, 3, 5), (300, 130), (6, 1, 2, 2)]


@pytest.fixture(params=[0, 2, 3], ids=["plain C", "AVX-512", "by hand"])
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(native, "WIDEST", request.param)
    return


def _laid(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _inputs(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(len(shape) + shape[0])
    x, added, sent = (torch.randn(shape) * 3 + 5 for _ in range(3))
    return _laid(x.to(dtype)), _laid((added - 5).to(dtype)), _laid((sent - 5).to(dtype))


def _norm(shape: tuple[int, ...]) -> BatchNorm1d | BatchNorm2d:
    norm = (BatchNorm2d if len(shape) == 4 else BatchNorm1d)(shape[1])
    torch.nn.init.uniform_(norm.weight, -1, 2)
    torch.nn.init.normal_(norm.bias)
    return norm


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_those_of_the_formula(
    shape: tuple[int, ...], rectified: bool, summed: bool, dtype: torch.dtype
) -> None:
    x, added, sent = _inputs(shape, dtype)
    norm = _norm(shape)
    wide = [t.double().requires_grad_() for t in (x, added, norm.weight.detach(), norm.bias.detach())]
    mean, variance = norm.running_mean.double(), norm.running_var.double()  # type: ignore[union-attr]
    truth = F.batch_norm(wide[0], mean, variance, wide[2], wide[3], True, 0.1, norm.eps)
    truth = truth + wide[1] if summed else truth
    truth = truth.relu() if rectified else truth

    x, added = x.requires_grad_(), added.requires_grad_()
    answer = norm.followed(x, added if summed else None, rectified)
    assert answer.dtype == dtype
    assert answer.stride() == x.stride()
    ours = [x, *([added] if summed else []), norm.weight, norm.bias]
    # Where rounding decides whether a number is zero, no gradient may be asked of it.
    clear = (truth.abs() > 0.05 if rectified else torch.ones_like(truth, dtype=torch.bool)).detach()
    gradients = torch.autograd.grad(answer, ours, sent * clear)
    expected = torch.autograd.grad(truth, wide if summed else [wide[0], *wide[2:]], sent.double() * clear)
    close = 1e-5 if dtype == torch.float32 else 2**-7
    assert _away(answer, truth) < close
    for own, true in zip(gradients, expected, strict=True):
        assert _away(own, true) < close
    assert _away(norm.running_mean, mean) < 1e-5
    assert _away(norm.running_var, variance) < 1e-5
    assert int(norm.num_batches_tracked) == 1  # type: ignore[arg-type]


def _away(ours: Tensor | None, truth: Tensor) -> float:
    assert ours is not None
    return float((ours.detach().double() - truth.detach()).norm() / truth.detach().norm().clamp_min(1e-3))


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, added, sent = _inputs((64, 96, 12, 12), torch.bfloat16)
    answers = []
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        norm = _norm(x.shape)
        norm.weight.data.fill_(1.5)
        norm.bias.data.zero_()
        given = x.clone().requires_grad_()
        answer = norm.followed(given, added, rectified=True)
        gradients = torch.autograd.grad(answer, [given, norm.weight, norm.bias], sent)
        answers.append([answer, *gradients, norm.running_var])
    monkeypatch.undo()
    assert torch.get_num_threads() == before
    for other in answers[1:]:
        assert all(torch.equal(a, b) for a, b in zip(answers[0], other, strict=True))  # type: ignore[arg-type]


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_no_number_is_not_hidden(dtype: torch.dtype) -> None:
    x = torch.randn(8, 64, 2, 2)
    x[3, 5, 1, 1] = torch.nan
    norm = BatchNorm2d(64)
    answer = norm.followed(_laid(x.to(dtype)), None, rectified=True)
    assert answer[:, 5].isnan().all()
    assert not answer[:, 6].isnan().any()


def test_where_it_cannot_be_had_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x, added, _ = _inputs((16, 64, 4, 4), torch.float32)
    norm = _norm(x.shape)
    assert fits(norm, x, added)
    assert not fits(norm, x.contiguous(), added)
    assert not fits(norm, x.double())
    assert not fits(norm, x, added.contiguous())
    assert not fits(norm, x[:1, :, :1, :1])
    with FlopCounterMode(display=False):
        assert not fits(norm, x)
    fast = norm.followed(x, added, rectified=True)
    monkeypatch.setenv("SIGHTWORD_NATIVE", "0")
    assert not fits(norm, x)
    torch.testing.assert_close(norm.followed(x, added, rectified=True), fast, atol=1e-5, rtol=1e-5)
    monkeypatch.undo()
    assert not fits(norm.eval(), x)


@pytest.mark.parametrize("added", [False, True])
def test_the_order_of_places_in_memory_changes_rounding_alone(added: bool) -> None:
    """Convolutions by tiles answer with pictures behind each other at a place."""
    torch.manual_seed(0)
    shape, found = (40, 64, 4, 5), []
    numbers = [torch.randn(shape).bfloat16() for _ in range(3)]
    for order, back in (((0, 2, 3, 1), (0, 3, 1, 2)), ((2, 3, 0, 1), (2, 3, 0, 1))):
        x, more, sent = (n.permute(order).contiguous().permute(back) for n in numbers)
        norm = BatchNorm2d(64)
        x.requires_grad_()
        assert fits(norm, x, more if added else None)
        answer = norm.followed(x, more if added else None, rectified=True)
        answer.backward(sent)
        assert answer.stride() == x.stride()
        assert x.grad is not None
        assert norm.weight.grad is not None
        found.append((answer.detach().float(), x.grad.float(), norm.weight.grad))
    for one, other in zip(*found, strict=True):
        assert float((one - other).norm() / one.norm()) < 2**-7
