"""Rows at one length: as F.normalize, cat and a product make them, there and back."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sightword.losses import units
from sightword.losses.units import joined_units


def rows(*sizes: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(n, 5, generator=generator, dtype=dtype).mul_(3).requires_grad_() for n in sizes]


@pytest.mark.parametrize("chunk", [2, 100])
def test_values_and_gradients_are_those_of_the_formula(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "chunk_for", lambda z: chunk)
    parts = rows(3, 4)
    with torch.no_grad():
        parts[0][1], parts[1][2] = 0.0, 1e-14  # shorter than what F.normalize divides by
    found, wanted = joined_units(0.7, *parts), 0.7 * torch.cat([F.normalize(part, dim=-1) for part in parts])
    assert torch.allclose(found, wanted, rtol=1e-14, atol=0)
    weights = torch.randn(7, 5, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    for mine, theirs in zip(
        torch.autograd.grad((found * weights).sum(), parts),
        torch.autograd.grad((wanted * weights).sum(), parts),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-14)


def test_gradients_are_those_of_differences() -> None:
    assert torch.autograd.gradcheck(lambda a, b: joined_units(2.5, a, b), rows(3, 2))


def test_it_may_go_back_twice() -> None:
    parts = rows(3, 2)
    z = joined_units(1.0, *parts)
    first, again = (torch.autograd.grad(z.sin().sum(), parts, retain_graph=True) for _ in range(2))
    assert all(map(torch.equal, first, again))


def test_half_precision_is_made_sound_and_gets_its_gradient_back() -> None:
    parts = rows(3, 2, dtype=torch.bfloat16)
    z = joined_units(1.0, *parts)
    assert z.dtype == torch.float32
    assert torch.allclose(z.detach().norm(dim=-1), torch.ones(5))
    z.sum().backward()
    assert [part.grad.dtype for part in parts if part.grad is not None] == [torch.bfloat16] * 2
