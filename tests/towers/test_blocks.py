"""Attention by either route equals the naive one."""

from __future__ import annotations

import naive_towers
import numpy as np
import pytest
import torch

from sightword.towers import blocks


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("route", ["fused", "plain"])
def test_attention_equals_its_twin(route, padded, causal, monkeypatch):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 5, 6, dtype=torch.float64)
    lengths = [3, 5] if padded else [5, 5]
    valid = torch.arange(5) < torch.tensor(lengths)[:, None] if padded else None
    if route == "plain":
        monkeypatch.setattr(blocks.F, "scaled_dot_product_attention", None)
        mixed = blocks._attend_plainly(q, k, v, None if valid is None else valid[:, None, None], causal)
    else:
        mixed = blocks.attend(q, k, v, valid, causal)
    for i, n in enumerate(lengths):
        rows = [x[i].transpose(0, 1).reshape(5, 24)[:n].numpy() for x in (q, k, v)]
        twin = naive_towers.attention(*rows, heads=4, causal=causal)
        np.testing.assert_allclose(mixed[i].transpose(0, 1).reshape(5, 24)[:n], twin, atol=1e-12)


def test_bfloat16_training_on_a_cpu_avoids_the_fused_kernel(monkeypatch):
    q = torch.randn(2, 2, 5, 8, dtype=torch.bfloat16, requires_grad=True)
    fused = blocks.attend(q.detach().float(), q.detach().float(), q.detach().float())

    def refuse(*_args, **_options):
        raise AssertionError("fused kernel used")

    monkeypatch.setattr(blocks.F, "scaled_dot_product_attention", refuse)
    mixed = blocks.attend(q, q, q)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), fused, atol=0.03, rtol=0.03)
    with torch.no_grad(), pytest.raises(AssertionError, match="fused"):
        blocks.attend(q, q, q)
