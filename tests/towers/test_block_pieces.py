"""A block in two pieces: the numbers of its layers one by one, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sightword.config import Activation
from sightword.towers import pieces
from sightword.towers.blocks import Block
from sightword.towers.layer import recompute_blocks
from sightword.towers.native import layer_norm as native
from sightword.towers.packing import pack

needs_amx = pytest.mark.skipif(not native.usable(32), reason="no AMX here, or no kernel")
PIECES = {"_BeforeBackward", "_AfterBackward"}


def nodes(answer: Tensor) -> set[str]:
    """Our own ones that its backward pass goes through."""
    found, left = set[str](), [answer.grad_fn]
    while left:
        node = left.pop()
        if node is not None:
            found |= {node.name()} if node.name().startswith("_") else set()
            left += [before for before, _ in node.next_functions]
    return found


def learned(
    block: nn.Module, given: Tensor, called: Callable[[Tensor], Tensor]
) -> tuple[set[str], dict[str, Tensor]]:
    """What its backward pass goes through; the answer and all gradients."""
    block.zero_grad()
    torch.manual_seed(5)
    x = given.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = called(x)
    went = nodes(answer)
    answer.backward(torch.randn_like(answer))
    assert x.grad is not None
    own = {name: p.grad.clone() for name, p in block.named_parameters() if p.grad is not None}
    return went, {"answer": answer.detach(), "x": x.grad, **own}


def block_of(width: int, heads: int, activation: Activation = "gelu") -> Block:
    torch.manual_seed(width)
    block = Block(width, heads, activation=activation)
    for p in block.parameters():
        nn.init.normal_(p, std=0.3 if p.dim() == 1 else 0.1)
    return block


@needs_amx
@pytest.mark.parametrize("shape", [(4, 8, 64), (3, 37, 64), (5, 197, 192), (2, 33, 416)])
@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_layers_one_by_one(
    shape: tuple[int, int, int], activation: Activation, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, given = block_of(shape[2], shape[2] // 32, activation), torch.randn(shape)
    went, ours = learned(block, given, lambda x: block(x, causal=causal))
    assert went >= PIECES
    monkeypatch.setattr(pieces, "fit", lambda *_: False)
    went, wanted = learned(block, given, lambda x: block(x, causal=causal))
    assert not went & PIECES
    assert ours.keys() == wanted.keys()
    assert len(ours) == 14
    assert not [name for name in ours if not torch.equal(ours[name], wanted[name])]


@needs_amx
def test_packed_rows_and_recomputed_ones_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    block, seen = block_of(64, 2), torch.arange(30) < torch.randint(1, 20, (9, 1))
    packing = pack(seen, torch.float32, 32)
    assert packing is not None
    given = torch.randn(1, len(packing.places), 64)
    went, once = learned(block, given, lambda x: block(x, packing=packing))
    assert went >= PIECES
    recompute_blocks(block)
    _, again = learned(block, given, lambda x: block(x, packing=packing))
    monkeypatch.setattr(pieces, "fit", lambda *_: False)
    _, wanted = learned(block, given, lambda x: block(x, packing=packing))
    for found in (again, wanted):
        assert not [name for name in once if not torch.equal(once[name], found[name])]


@needs_amx
def test_it_is_near_the_formula_in_float64() -> None:
    block, given = block_of(96, 3), torch.randn(3, 50, 96)
    went, ours = learned(block, given, block)
    assert went >= PIECES
    wide, x = block_of(96, 3).double(), given.double().requires_grad_()
    torch.manual_seed(5)
    answer = wide(x)
    answer.backward(torch.randn(3, 50, 96).double())
    assert x.grad is not None
    truth = {"answer": answer.detach(), "x": x.grad}
    truth |= {name: p.grad for name, p in wide.named_parameters() if p.grad is not None}
    away = {name: float((ours[name] - truth[name]).norm() / truth[name].norm()) for name in ours}
    assert max(away.values()) < 0.02, away


@needs_amx
def test_what_is_watched_dropped_or_not_learned_is_done_layer_by_layer() -> None:
    x = torch.randn(2, 40, 64)

    def went(change: Callable[[Block], object], given: Tensor = x) -> set[str]:
        block = block_of(64, 2)
        change(block)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return nodes(block(given)) & PIECES

    assert went(lambda block: None) == PIECES
    assert not went(lambda block: None, x[:1, :20])  # fewer than 32 rows
    for name in ("norm1", "attn", "attn.proj", "norm2", "mlp", "mlp.act", "mlp.fc2", "drop_path"):
        assert not went(lambda block, name=name: block.get_submodule(name).register_forward_hook(print))
    assert not went(lambda block: block.mlp.fc1.weight.requires_grad_(False))
    assert not went(lambda block: setattr(block.drop_path, "p", 0.1))
    assert went(lambda block: setattr(block.eval().drop_path, "p", 0.1)) == PIECES
    with FlopCounterMode(display=False) as counter:
        assert not went(lambda block: None)
    assert counter.get_total_flops() > 2 * 80 * 12 * 64**2
    block = block_of(64, 2)
    assert not nodes(block(x))  # in float32
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert block(x).grad_fn is None


@needs_amx
@pytest.mark.parametrize("rows", [32, 67, 320, 333])
def test_norms_of_sums_and_tiled_gradients_are_those_of_plain_rows(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(rows)
    x, weight, bias, sent = torch.randn(rows, 160), torch.randn(160), torch.randn(160), torch.randn(rows, 160)
    added, here = torch.randn(rows, 160).bfloat16(), torch.randn(rows, 160)
    total = x + added
    answer, known = native.normalise(total, weight, bias, 1e-6)
    plain = native.gradient(sent.bfloat16(), total, known, weight)
    monkeypatch.setattr(native, "_WORTH_A_THREAD", 2**8)
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        tiled = native.rounded(added.float())
        assert torch.equal(native.add(x, tiled), total)
        found = native.normalise_sum(x, tiled, weight, bias, 1e-6)
        assert torch.equal(found.x, total)
        assert torch.equal(found.known, known)
        assert torch.equal(found.answer.numbers, native.rounded(answer.float()).numbers)
        short = native.rounded(torch.zeros_like(x))
        made = native.gradient(native.rounded(sent), total, known, weight, here, short)
        assert torch.equal(made.x, plain.x + here)
        assert torch.equal(short.numbers, native.rounded(made.x).numbers)
        assert torch.equal(made.weight, plain.weight)
        assert torch.equal(made.bias, plain.bias)


@needs_amx
def test_many_rows_are_each_what_a_few_are() -> None:
    """Answers that are too large for the caches are written past them."""
    torch.manual_seed(2)
    x, sent, weight, bias = torch.randn(3200, 768), torch.randn(3200, 768), torch.randn(768), torch.randn(768)

    def worked(some: slice) -> tuple[Tensor, ...]:
        given, gradient = x[some].contiguous(), native.rounded(sent[some].contiguous())
        normed, short = native.normalise_sum(given, gradient, weight, bias, 1e-6), native.rounded(given)
        plain = native.normalise(given, weight, bias, 1e-6)[0].view(-1, 32, 768)
        back = native.gradient(gradient, normed.x, normed.known, weight, given, short)
        rows = gradient.numbers, normed.answer.numbers, short.numbers, plain
        return *rows, *(t.view(-1, 32, 768) for t in (native.add(given, gradient), normed.x, back.x))

    few = [worked(slice(at, at + 640)) for at in range(0, 3200, 640)]
    for i, whole in enumerate(worked(slice(None))):
        assert torch.equal(whole, torch.cat([one[i] for one in few]))
