"""Packed captions: the same features and gradients as padded ones, whatever is pooled and hidden."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sightword.config import TextTowerConfig
from sightword.towers import packing, varlen
from sightword.towers.build import build_text
from sightword.towers.layer import recompute_blocks
from sightword.towers.packing import Packing, grouped, pack, without_padding
from sightword.towers.text import TextTransformer, _Said
from sightword.words import Encoded, Words

CONFIG = TextTowerConfig(width=24, layers=2, heads=3, context=20, mask_token=True)
KINDS = [
    replace(CONFIG, attention=attention, pool=pool)
    for attention, pool in itertools.product(["causal", "bidirectional"], ["eot", "mean", "class"])
    if (attention, pool) != ("causal", "class")
]
HIDING = ["nothing", "dropped", "replaced"]


def tower_of(config: TextTowerConfig) -> TextTransformer:
    torch.manual_seed(0)
    tower = build_text(config, vocab=60, pad=0, eot=59)
    assert isinstance(tower, TextTransformer)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return tower


def captions(rows: int = 48, context: int = 20) -> Words:
    """Most of them short."""
    drawn = torch.Generator().manual_seed(1)
    lengths = (2 + torch.rand(rows, generator=drawn).square() * (context - 1)).long().clamp(2, context)
    ids = torch.randint(1, 59, (rows, context), generator=drawn)
    ids[torch.arange(context) >= lengths[:, None]] = 0
    return Words(ids, lengths)


@contextmanager
def padded() -> Iterator[None]:
    """No rows are packed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sightword.towers.text.pack", lambda *_: None)
        yield


def encoded(tower: TextTransformer, words: Words, hiding: str) -> tuple[Encoded, dict[str, torch.Tensor]]:
    """Encoding and gradients."""
    drawn = torch.rand(words.ids.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    answer = tower(words, None if hiding == "nothing" else drawn, replace=hiding == "replaced")
    tower.zero_grad()
    (answer.pooled.cos().sum() + answer.tokens[answer.valid].sin().sum()).backward()
    return answer, {n: p.grad.clone() for n, p in tower.named_parameters() if p.grad is not None}


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    """Gradients, to float32's rounding of the largest number in each."""
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        allowed = 3e-6 * float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, atol=allowed, rtol=0, msg=name)


@pytest.mark.parametrize("extra", [0, 8, 10_000], ids=["every length", "some groups", "one group"])
@pytest.mark.parametrize("hiding", HIDING)
@pytest.mark.parametrize("config", KINDS, ids=lambda c: f"{c.attention}-{c.pool}")
def test_packed_is_padded(
    config: TextTowerConfig, hiding: str, extra: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32: features to 1e-5, and every gradient."""
    tower, words, made = tower_of(config), captions(), list[Packing]()
    with padded():
        wanted, gradients = encoded(tower, words, hiding)
    monkeypatch.setitem(packing._GROUP, "cpu", extra)
    monkeypatch.setattr(packing, "_WORTH", 1e9)
    monkeypatch.setattr("sightword.towers.text.pack", lambda *given: made.append(pack(*given)) or made[-1])
    found, same = encoded(tower, words, hiding)
    assert len(made[0].groups) == {0: len(made[0].groups), 8: len(made[0].groups), 10_000: 1}[extra]
    assert all(mask is None for mask in made[0].masks) == (extra == 0)
    torch.testing.assert_close(found.pooled, wanted.pooled, atol=1e-5, rtol=0)
    assert torch.equal(found.valid, wanted.valid)
    assert found.tokens.shape == wanted.tokens.shape
    torch.testing.assert_close(found.tokens[found.valid], wanted.tokens[wanted.valid], atol=1e-5, rtol=0)
    assert bool(found.tokens.isfinite().all())
    assert_same(same, gradients)


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_where_padding_counts_rows_are_as_long(pool: str) -> None:
    """Nothing is packed, but where words are dropped: then rows differ, and agree with padded ones."""
    tower, words = tower_of(replace(CONFIG, attention="padding-too", pool=pool)), captions()
    for hiding in ("nothing", "dropped"):
        with padded():
            wanted, _ = encoded(tower, words, hiding)
        torch.testing.assert_close(encoded(tower, words, hiding)[0].pooled, wanted.pooled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", KINDS, ids=lambda c: f"{c.attention}-{c.pool}")
def test_a_row_is_what_it_is_alone(config: TextTowerConfig) -> None:
    tower, words = tower_of(config).double(), captions()
    whole = tower(words).pooled
    for row in (0, 7, 47):
        alone = tower(Words(words.ids[row : row + 1], words.lengths[row : row + 1])).pooled[0]
        torch.testing.assert_close(whole[row], alone, atol=1e-12, rtol=0)


def test_recomputed_blocks_give_the_same_gradient_to_the_bit() -> None:
    tower, words = tower_of(KINDS[0]), captions()
    _, once = encoded(tower, words, "nothing")
    recompute_blocks(tower)
    _, twice = encoded(tower, words, "nothing")
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_only_real_tokens_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by torch, against the same rows padded."""
    tower, words, counts = tower_of(CONFIG), captions(), list[int]()
    for way in (padded, without_padding):
        with way(), torch.no_grad(), FlopCounterMode(display=False) as counter:
            tower(words)
        counts.append(sum(n for op, n in counter.get_flop_counts()["Global"].items() if "addmm" in str(op)))
    real = int(words.lengths.sum()), words.lengths.numel() * int(words.lengths.max())
    assert counts[1] / counts[0] == real[0] / real[1] < 0.6
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert tower(words).tokens.shape[1] == 20


def test_what_does_not_pay_is_padded() -> None:
    alike = torch.arange(20) < torch.tensor([19, 20, 20, 20])[:, None]
    assert pack(alike, torch.float32, 8) is None
    with without_padding():
        packed = pack(alike, torch.float32, 8)
    assert packed is not None
    assert packed.groups == ((1, 19), (3, 20))
    assert pack(torch.ones(4, 20, dtype=torch.bool), torch.float32, 8) is None


def test_a_tower_without_layers_and_a_compiled_one_pack_nothing() -> None:
    words = captions()
    for tower in (tower_of(replace(CONFIG, layers=0, pool="mean")), tower_of(CONFIG)):
        for block in tower.blocks:
            block.compiled = True
        seen = torch.arange(20) < words.lengths[:, None]
        assert tower._packing(_Said(words.ids, torch.arange(20).expand_as(words.ids), seen)) is None


@pytest.mark.parametrize("extra", [0, 3, 20])
def test_groups_are_the_cheapest_of_all(extra: int) -> None:
    """Against every way to cut eight rows."""
    lengths = [3, 4, 4, 7, 8, 8, 15, 20]
    costs = []
    for cuts in itertools.product([False, True], repeat=7):
        ends = [i for i, cut in enumerate(cuts, 1) if cut] + [8]
        starts = [0, *ends[:-1]]
        costs.append(sum((e - s) * lengths[e - 1] + extra for s, e in zip(starts, ends, strict=True)))
    found = grouped(lengths, extra)
    assert sum(rows for rows, _ in found) == 8
    assert sum(rows * length + extra for rows, length in found) == min(costs)


def test_the_kernel_for_any_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is given, with a kernel of our own in its place; a CPU has none."""
    assert not varlen.works(torch.device("cpu"), torch.bfloat16, 8)

    def kernel(q, k, v, q_bounds, k_bounds, q_most, k_most, window_size):
        assert torch.equal(q_bounds, k_bounds)
        assert q_most == k_most == int(q_bounds.diff().max())
        where = torch.bucketize(torch.arange(len(q)), q_bounds, right=True)
        seen = where[:, None] == where
        seen = seen.tril() if window_size == (-1, 0) else seen
        scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[2] ** 0.5
        return torch.einsum("hqk,khd->qhd", scores.masked_fill(~seen, -torch.inf).softmax(-1), v)

    monkeypatch.setattr(varlen, "_kernel", lambda: kernel)
    for config in KINDS:
        tower, words = tower_of(config), captions()
        with padded():
            wanted, gradients = encoded(tower, words, "nothing")
        with monkeypatch.context() as patch:
            patch.setattr(varlen, "works", lambda *_: True)
            found, same = encoded(tower, words, "nothing")
        torch.testing.assert_close(found.pooled, wanted.pooled, atol=1e-5, rtol=0)
        assert_same(same, gradients)
    assert all(varlen._same(torch.device("cpu"), torch.float32, 8, causal) for causal in (False, True))
    monkeypatch.setattr(varlen, "_kernel", lambda: lambda *_, **__: torch.zeros(14, 2, 8, requires_grad=True))
    assert not varlen._same(torch.device("cpu"), torch.float32, 8, False)
