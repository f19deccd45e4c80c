"""Layer norm straight to bfloat16: no further from the formula than torch's followed by rounding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightword.towers import layer_norm
from sightword.towers.native import layer_norm as native

HERE = native.usable(32)
needs_amx = pytest.mark.skipif(not HERE, reason="no AMX here, or no kernel")


def _away(ours: Tensor | None, truth: Tensor) -> float:
    assert ours is not None
    return float((ours.detach().double() - truth.detach()).norm() / truth.detach().norm())


def _norm(n: int) -> nn.LayerNorm:
    torch.manual_seed(n)
    norm = nn.LayerNorm(n)
    nn.init.normal_(norm.weight, 1)
    nn.init.normal_(norm.bias)
    return norm


@needs_amx
@pytest.mark.parametrize("shape", [(1, 32), (3, 67, 96), (2, 100, 768)])
def test_it_is_the_formula(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    norm, given = _norm(shape[-1]), 3 * torch.randn(shape) + 5
    wide, exact = nn.LayerNorm(shape[-1]).double(), given.double().requires_grad_()
    wide.load_state_dict(norm.state_dict())
    truth = wide(exact)
    sent = torch.randn(shape).bfloat16()
    truth.backward(sent.double())

    def found() -> list[float]:
        norm.zero_grad()
        x = given.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answer = layer_norm.normed(norm, x).bfloat16()
        answer.backward(sent)
        pairs = (answer, truth), (x.grad, exact.grad), (norm.weight.grad, wide.weight.grad)
        return [_away(*pair) for pair in (*pairs, (norm.bias.grad, wide.bias.grad))]

    ours = found()
    monkeypatch.setattr(native, "usable", lambda n: False)
    assert ours != found()
    assert all(a < max(1.05 * b, 1e-6) for a, b in zip(ours, found(), strict=True)), ours


@needs_amx
def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    norm, x, sent = _norm(160), torch.randn(333, 160), torch.randn(333, 160).bfloat16()
    monkeypatch.setattr(native, "_WORTH_A_THREAD", 2**8)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        answer, known = native.normalise(x, norm.weight, norm.bias, 1e-6)
        found.append([answer, known, *native.gradient(sent, x, known, norm.weight)])
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_what_it_is_not_for_is_left_to_torch() -> None:
    x = torch.randn(4, 64)
    assert torch.equal(layer_norm.normed(_norm(64), x), _norm(64)(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        odd = torch.randn(4, 40)
        assert torch.equal(layer_norm.normed(_norm(40), odd), _norm(40)(odd))
        bare = nn.LayerNorm(64, elementwise_affine=False)
        assert torch.equal(layer_norm.normed(bare, x), bare(x))
        with torch.no_grad():
            assert layer_norm.normed(_norm(64), x).dtype == torch.float32
