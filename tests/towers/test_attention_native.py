"""Attention by AMX: the formula's answer and gradient, and what is left to torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sightword.towers import attention
from sightword.towers.blocks import Attention
from sightword.towers.native import attention as native
from sightword.towers.native.tiled import BLOCK, Tiled

CASES = [  # batch, rows, heads, width of a head, causal
    (2, 197, 3, 64, False),
    (3, 64, 2, 32, False),
    (2, 77, 2, 64, True),
    (1, 5, 1, 96, True),
    (2, 33, 2, 64, True),
    (2, 1, 2, 32, False),
    (1, 512, 1, 64, False),
]
HERE = native.usable(64, 64)
needs_amx = pytest.mark.skipif(not HERE, reason="no AMX here, or no kernel")


def _formula(qkv: Tensor, heads: int, causal: bool) -> Tensor:
    """Vaswani et al. 2017 (arXiv 1706.03762), equation 1, head by head."""
    _, n, w = qkv.shape
    d = w // 3 // heads
    answers = []
    for head in range(heads):
        q, k, v = (qkv[:, :, part * w // 3 + head * d :][:, :, :d] for part in range(3))
        scores = torch.einsum("bid,bjd->bij", q, k) / d**0.5
        for row in range(n if causal else 0):
            scores[:, row, row + 1 :] = -torch.inf
        answers.append(torch.einsum("bij,bjd->bid", scores.exp() / scores.exp().sum(-1, keepdim=True), v))
    return torch.cat(answers, dim=2)


def _away(ours: Tensor | None, truth: Tensor | None) -> float:
    assert ours is not None
    assert truth is not None
    return float((ours.detach().double() - truth.detach()).norm() / truth.detach().norm().clamp_min(1e-3))


@needs_amx
@pytest.mark.parametrize("case", CASES)
def test_answer_and_gradient_are_those_of_the_formula(case: tuple[int, int, int, int, bool]) -> None:
    b, n, heads, d, causal = case
    torch.manual_seed(n)
    qkv = (1.5 * torch.randn(b, n, 3 * heads * d)).bfloat16().requires_grad_()
    assert attention.fits(qkv, heads)
    answer = attention.mixed(qkv, heads, causal)
    sent = torch.randn_like(answer)
    answer.backward(sent)
    exact = qkv.detach().double().requires_grad_()
    truth = _formula(exact, heads, causal)
    truth.backward(sent.double())
    assert _away(answer, truth) < 2**-8
    assert _away(qkv.grad, exact.grad) < 2**-7.5


@needs_amx
def test_large_scores_overflow_nothing() -> None:
    qkv = (60 * torch.randn(2, 40, 96)).bfloat16().requires_grad_()
    answer = attention.mixed(qkv, 1, False)
    answer.sum().backward()
    assert qkv.grad is not None
    assert answer.isfinite().all()
    assert qkv.grad.isfinite().all()


def _tiled(rows: Tensor) -> Tiled:
    """Rows in bfloat16 as linear.h says: the last blocks hold the last 32."""
    begins = [*range(0, len(rows) - BLOCK, BLOCK), len(rows) - BLOCK]
    blocks = [rows[at : at + BLOCK].unflatten(1, (-1, BLOCK)).transpose(0, 1) for at in begins]
    return Tiled(torch.stack(blocks), len(rows))


@needs_amx
@pytest.mark.parametrize("each", [33, 50, 64])
@pytest.mark.parametrize("causal", [False, True])
def test_threads_and_tiles_change_no_bit(each: int, causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(each)
    qkv, sent = torch.randn(5 * each, 3 * 128).bfloat16(), torch.randn(5 * each, 128).bfloat16()
    monkeypatch.setattr(native, "_WORTH_A_THREAD", 2**8)
    answer, sums = native.attend(qkv, each, 2, causal)
    back = native.gradient(sent, qkv, answer, sums, causal)
    assert isinstance(answer, Tensor)
    assert isinstance(back, Tensor)
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        again, logs = native.attend(qkv, each, 2, causal)
        tiled, tiled_logs = native.attend(_tiled(qkv), each, 2, causal)
        assert isinstance(again, Tensor)
        assert isinstance(tiled, Tiled)
        assert torch.equal(again, answer)
        assert torch.equal(tiled.numbers, _tiled(answer).numbers)
        assert torch.equal(logs, sums)
        assert torch.equal(tiled_logs, sums)
        found = native.gradient(sent, qkv, answer, sums, causal)
        in_tiles = native.gradient(_tiled(sent), _tiled(qkv), tiled, sums, causal)
        assert isinstance(found, Tensor)
        assert isinstance(in_tiles, Tiled)
        assert torch.equal(found, back)
        assert torch.equal(in_tiles.numbers, _tiled(back).numbers)


@needs_amx
def test_many_pictures_are_each_what_one_is() -> None:
    """Answers that are too large for the caches are written past them."""
    torch.manual_seed(1)
    qkv, sent = torch.randn(12, 197, 3 * 768).bfloat16(), torch.randn(12, 197, 768).bfloat16()
    answer, sums = native.attend(qkv.flatten(0, 1), 197, 12, False)
    back = native.gradient(sent.flatten(0, 1), qkv.flatten(0, 1), answer, sums, False)
    assert isinstance(answer, Tensor)
    assert isinstance(back, Tensor)
    for i in (0, 5, 11):
        one, own = native.attend(qkv[i], 197, 12, False)
        assert isinstance(one, Tensor)
        assert torch.equal(one, answer.view_as(sent)[i])
        assert torch.equal(own[0], sums[i])
        assert torch.equal(native.gradient(sent[i], qkv[i], one, own, False), back.view_as(qkv)[i])


@needs_amx
def test_what_it_does_not_fit_is_left_to_torch() -> None:
    qkv = torch.randn(2, 8, 192).bfloat16()
    assert not attention.fits(qkv, 1)
    with torch.no_grad():
        assert not attention.fits(qkv.clone().requires_grad_(), 1)
    qkv.requires_grad_()
    assert attention.fits(qkv, 1)
    assert not attention.fits(qkv.float(), 1)
    assert not attention.fits(qkv, 4)
    assert not attention.fits(torch.randn(1, native.MOST + 1, 192).bfloat16().requires_grad_(), 1)


@needs_amx
def test_a_layer_uses_it_under_autocast_and_not_with_a_mask() -> None:
    torch.manual_seed(0)
    layer, x = Attention(64, 2), torch.randn(3, 9, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = layer(x)
        masked = layer(x, valid=torch.ones(3, 9, dtype=torch.bool))
    exact = layer(x)
    assert "_Attention" in _history(ours)
    assert "_Attention" not in _history(masked)
    assert _away(ours, exact.double()) < 2**-6
    assert _away(masked, exact.double()) < 2**-6


def _history(answer: Tensor) -> str:
    """The names of what has made it."""
    names, left = list[str](), [answer.grad_fn]
    while left:
        node = left.pop()
        if node is not None:
            names.append(node.name())
            left += [before for before, _ in node.next_functions]
    return " ".join(names)
