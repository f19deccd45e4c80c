"""Logits in pieces: the twins' values, exact gradients, whole rows' winners, and never n x n at once."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from contrast_twins import features, twin_info_nce, twin_momentum, twin_nt_xent, twin_sigmoid
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from sightword.losses import contrast, strips, tiles, whole
from sightword.losses.contrast import Scored

SCALE, BIAS, T = 9.0, -3.0, 0.2
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Scored]

# Every way to a loss in one process: of features, scale and bias, some rows standing for a rank's if cut.
ALONE: dict[str, Loss] = {
    "info_nce": lambda a, b, scale, bias: contrast.scored_info_nce(a, b, scale),
    "nt_xent": lambda a, b, scale, bias: contrast.scored_nt_xent(a, b, T),
    "sigmoid": lambda a, b, scale, bias: contrast.scored_sigmoid_pairs(a, b, scale, bias),
    "momentum": lambda a, b, scale, bias: contrast.scored_momentum_contrast(a, b, T),
}


def as_a_rank(first: int, rows: int) -> dict[str, Loss]:
    """The same as the process sees it that has `rows` rows from `first` on."""
    own = slice(first, first + rows)
    return {
        "info_nce": lambda a, b, scale, bias: contrast.scored_info_nce(a[own], b[own], scale, a, b, first),
        "nt_xent": lambda a, b, scale, bias: contrast.scored_nt_xent(a[own], b[own], T, a, b, first),
        "sigmoid": lambda a, b, scale, bias: contrast.scored_sigmoid_pairs(
            a[own], b[own], scale, bias, a, b, first
        ),
        "momentum": lambda a, b, scale, bias: contrast.scored_momentum_contrast(a[own], b, T, first),
    }


def in_pieces(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(contrast, "LARGE", 0)
    monkeypatch.setattr(tiles, "CHUNK", chunk)
    monkeypatch.setattr(strips, "CHUNK", chunk)


def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast, "LARGE", sys.maxsize)


def given_inputs(n: int, d: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    pair = [features(n, d, seed=seed) for seed in (0, 1)]
    numbers = [torch.tensor([number], dtype=torch.float64) for number in (SCALE, BIAS)]
    return [x.to(dtype).requires_grad_() for x in (*pair, *numbers)]


def answers(loss: Loss, inputs: list[Tensor]) -> list[Tensor]:
    """Value, shares of right rows, and every gradient that there is."""
    scored = loss(*inputs)
    gradients = torch.autograd.grad(scored.loss, inputs, allow_unused=True)
    return [scored.loss.detach(), *scored.right, *(g for g in gradients if g is not None)]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 10])
def test_values_are_the_papers(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces(monkeypatch, chunk)
    a, b = features(7, 5), features(7, 5, seed=1)
    lists = a.tolist(), b.tolist()
    found = {name: loss(a, b, *given_inputs(1, 1)[2:]).loss.item() for name, loss in ALONE.items()}
    assert found == pytest.approx(
        {
            "info_nce": twin_info_nce(*lists, SCALE),
            "nt_xent": twin_nt_xent(*lists, T),
            "sigmoid": twin_sigmoid(*lists, SCALE, BIAS),
            "momentum": twin_momentum(*lists, T, 0),
        },
        rel=1e-12,
    )
    keys = features(7, 5, seed=2, unit=False)
    among = contrast.momentum_contrast(a[:4], keys, T, offset=2).item()
    assert among == pytest.approx(twin_momentum(lists[0][:4], keys.tolist(), T, 2), rel=1e-12)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("losses", [ALONE, as_a_rank(2, 3)], ids=["alone", "a rank"])
def test_gradients_are_those_of_finite_differences(
    name: str, losses: dict[str, Loss], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of features, scale and bias together."""
    in_pieces(monkeypatch, 2)
    assert torch.autograd.gradcheck(lambda *inputs: losses[name](*inputs).loss, given_inputs(5, 3))


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("chunk", [1, 4, 5, 32])
@pytest.mark.parametrize("losses", [ALONE, as_a_rank(0, 4), as_a_rank(7, 6)], ids=["alone", "first", "last"])
def test_pieces_and_kept_logits_agree(
    name: str, chunk: int, losses: dict[str, Loss], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pieces(monkeypatch, chunk)
    found = answers(losses[name], given_inputs(13, 6))
    kept(monkeypatch)
    expected = answers(losses[name], given_inputs(13, 6))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("name", ["info_nce", "nt_xent"])
def test_what_is_frozen_changes_nothing_for_the_rest(
    name: str, frozen: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pictures, captions and scale."""
    in_pieces(monkeypatch, 3)
    some, everything = given_inputs(7, 4)[:3], given_inputs(7, 4)[:3]
    for number in frozen:
        some[number].requires_grad_(False)
    for inputs in (some, everything):
        loss = ALONE[name](*inputs, torch.zeros(1)).loss
        if loss.requires_grad:
            loss.backward()
    for number, (one, other) in enumerate(zip(some, everything, strict=True)):
        if number in frozen or other.grad is None:  # NT-Xent has no scale
            assert one.grad is None
        else:
            assert one.grad is not None
            assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("losses", [ALONE, as_a_rank(1024, 1024)], ids=["alone", "a rank"])
def test_both_sides_of_the_threshold_agree_in_single_precision(
    name: str, losses: dict[str, Loss], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = given_inputs(contrast.LARGE, 16, torch.float32)
    found = answers(losses[name], inputs)
    kept(monkeypatch)
    expected = answers(losses[name], inputs)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6 * float(theirs.abs().max()))


def test_the_threshold_decides_on_the_rows_of_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row less keeps its logits, as it always has; a rank's few rows count for nothing."""

    def never(*given: object) -> None:
        raise AssertionError("not this way")

    large, (scale, bias) = 6, given_inputs(1, 1)[2:]
    monkeypatch.setattr(contrast, "LARGE", large)
    for ways in (ALONE, as_a_rank(0, 2)):
        for loss in ways.values():
            with monkeypatch.context() as patch:
                for room, name in ((tiles, "pairs_tiled"), (tiles, "views_tiled"), (strips, "one_way")):
                    patch.setattr(room, name, never)
                patch.setattr(strips, "yes_or_no", never)
                loss(*torch.ones(2, large - 1, 2).double(), scale, bias)
            with monkeypatch.context() as patch:
                for name in ("info_nce_logits", "nt_xent_logits", "sigmoid_logits", "key_logits"):
                    patch.setattr(whole, name, never)
                loss(*torch.ones(2, large, 2).double(), scale, bias)


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 9), chunk=st.integers(1, 10), d=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_who_is_right_is_what_argmax_says_of_whole_rows(n: int, chunk: int, d: int, seed: int) -> None:
    """Of equal logits the first counts; small integers give many."""
    x, y = torch.randint(-1, 2, (2, n, d), generator=torch.Generator().manual_seed(seed)).double()
    own = torch.arange(n)
    _, rows, columns = tiles.pairs_tiled(x, y, 1.0, chunk)
    assert torch.equal(rows, (x @ y.T).argmax(dim=1) == own)
    assert torch.equal(columns, (y @ x.T).argmax(dim=1) == own)
    z = torch.cat([x, y])
    _, found = tiles.views_tiled(z, chunk)
    logits = (z @ z.T).fill_diagonal_(-torch.inf)
    assert torch.equal(found, logits.argmax(dim=1) == torch.cat([own + n, own]))
    first = seed % n
    _, some = strips.one_way(x[first:], y, first, chunk=chunk)
    assert torch.equal(some, rows[first:])
    assert torch.equal(strips.nearest(x[first:], y, first, chunk), rows[first:])
    _, views = strips.one_way(x[first:], z, n + first, hidden=first, chunk=chunk)
    assert torch.equal(views, found[first:n])


@pytest.mark.parametrize("name", ALONE)
def test_features_that_collapsed_score_as_blind_guessing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All logits are equal: the first is taken, in pieces too, and nobody seems to be right."""
    in_pieces(monkeypatch, 3)
    same = torch.ones(8, 4, dtype=torch.float64) / 2
    scored = ALONE[name](same, same, *given_inputs(1, 1)[2:])
    assert all(share == 1 / 8 for share in scored.right)


@pytest.mark.parametrize("scale", [100.0, 1000.0])
def test_logits_far_apart_neither_overflow_nor_vanish(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cosines from -1 to 1: a row's logits are up to 2,000 apart, where exp(88) is all that float32 has."""
    a = features(24, 2).float()
    b = torch.cat([a[:12], -a[12:]])
    for losses in (ALONE, as_a_rank(5, 9)):
        in_pieces(monkeypatch, 5)
        x, y = (z.clone().requires_grad_() for z in (a, b))
        loss = losses["info_nce"](x, y, torch.tensor([scale]), torch.tensor([BIAS])).loss
        loss.backward()
        kept(monkeypatch)
        exact = losses["info_nce"](
            a.double(), b.double(), torch.tensor([scale]).double(), torch.tensor([BIAS])
        )
        assert loss.item() == pytest.approx(exact.loss.item(), rel=1e-6)
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("losses", [ALONE, as_a_rank(8, 8)], ids=["alone", "a rank"])
def test_half_precision_under_autocast_is_computed_in_float32(
    name: str, losses: dict[str, Loss], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backward under autocast too."""
    in_pieces(monkeypatch, 5)
    half = [x.detach().bfloat16().requires_grad_() for x in given_inputs(32, 16)[:2]]
    scale, bias = (x.detach().float().requires_grad_() for x in given_inputs(1, 1)[2:])
    with torch.autocast("cpu", torch.bfloat16):
        found = answers(losses[name], [*half, scale, bias])
    kept(monkeypatch)
    exact = [x.detach().double().requires_grad_() for x in (*half, scale, bias)]
    expected = answers(losses[name], exact)
    assert found[0].dtype == torch.float32
    for ours, theirs in zip(found, expected, strict=True):
        near = 4e-3 if ours.dtype == torch.bfloat16 else 2e-5  # a gradient is rounded to what it is for
        torch.testing.assert_close(
            ours.double(), theirs.double(), rtol=near, atol=near * theirs.abs().max().item()
        )


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor had that anything returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        made = out if isinstance(out, tuple | list) else [out]
        self.numbers = max([self.numbers, *(x.numel() for x in made if isinstance(x, Tensor))])
        return out


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("losses", [ALONE, as_a_rank(200, 200)], ids=["alone", "a rank"])
def test_no_tensor_is_ever_larger_than_a_piece_or_the_features(
    name: str, losses: dict[str, Loss], monkeypatch: pytest.MonkeyPatch
) -> None:
    n, d, chunk = 400, 4, 10
    most = {}
    for way in ("pieces", "kept"):
        in_pieces(monkeypatch, chunk) if way == "pieces" else kept(monkeypatch)
        with Largest() as largest:
            losses[name](*given_inputs(n, d)).loss.backward()
        most[way] = largest.numbers
    assert most["pieces"] <= max(2 * n * d, chunk * 2 * n)
    assert most["kept"] >= 200 * n


def test_products_are_as_many_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows x n x d, there and back: in tiles, in strips, and with kept logits."""
    n, d, rows, chunk = 64, 8, 16, 4

    def products(loss: Loss, size: int) -> float:
        with FlopCounterMode(display=False) as counter:
            loss(*given_inputs(n, d)).loss.backward()
        return counter.get_total_flops() / (2 * size * n * d)

    rank = as_a_rank(rows, rows)
    in_pieces(monkeypatch, chunk)
    assert products(ALONE["info_nce"], n) == 4
    tiles_a_side = 2 * n // chunk
    assert products(ALONE["nt_xent"], 4 * n) == 4 * (tiles_a_side + 1) / (2 * tiles_a_side)
    # Both directions; both views against both of everybody; one direction and the count of the other; one.
    expected = [2 * 3, 4 * 3, 3 + 1, 3]
    assert [products(loss, rows) for loss in rank.values()] == expected
    kept(monkeypatch)
    assert [products(loss, rows) for loss in rank.values()] == expected
    assert [products(ALONE[name], n) for name in ("info_nce", "nt_xent")] == expected[:2]


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("losses", [ALONE, as_a_rank(3, 3)], ids=["alone", "a rank"])
def test_a_graph_that_is_kept_can_be_used_again_and_a_still_side_gets_nothing(
    name: str, losses: dict[str, Loss], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pieces(monkeypatch, 4)
    inputs = given_inputs(9, 5)
    loss = losses[name](*inputs).loss
    once = torch.autograd.grad(loss, inputs[0], retain_graph=True)[0].clone()
    (3 * loss).backward()
    torch.testing.assert_close(inputs[0].grad, 3 * once)
    still = [x.detach().requires_grad_(place == 0) for place, x in enumerate(inputs)]
    losses[name](*still).loss.backward()
    torch.testing.assert_close(still[0].grad, once)
    with torch.no_grad():
        silent = losses[name](*inputs).loss
    assert not silent.requires_grad
    torch.testing.assert_close(silent, loss.detach())
