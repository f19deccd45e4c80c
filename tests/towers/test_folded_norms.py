"""Where nothing is learned a batch norm goes into the convolution before it: the same numbers, sooner."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightword.towers.resnet import Basic, InSteps, norm_for, normed


def lived(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """With norms that have seen something, so that each number of theirs counts."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values, low in ((part.weight, 0.5), (part.bias, -1.0), (part.running_mean, -1.0)):
                assert values is not None
                values.data = low + torch.rand(values.shape, generator=generator)
            assert part.running_var is not None
            part.running_var.copy_(0.2 + torch.rand(part.running_var.shape, generator=generator))
    return module


def by_hand(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """The convolution, then the norm's formula, float64."""
    y = nn.functional.conv2d(x.double(), conv.weight.double(), None, conv.stride, conv.padding)
    mean, variance, weight, bias = (
        values.double()[:, None, None]  # type: ignore[union-attr]
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (y - mean) / (variance + norm.eps).sqrt() * weight + bias


@pytest.mark.parametrize("stride", [1, 2])
def test_a_folded_norm_is_the_norm(stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    both = lived(InSteps(nn.Conv2d(3, 5, 3, stride, padding=1, bias=False), norm_for("batch", 5)), generator)
    x = torch.randn(4, 3, 8, 8, generator=generator)
    both.eval()
    with torch.no_grad():
        torch.testing.assert_close(both(x).double(), by_hand(x, both[0], both[1]), atol=1e-5, rtol=1e-5)  # type: ignore[index]


def test_a_block_says_with_a_gradient_what_it_says_without_one() -> None:
    generator = torch.Generator().manual_seed(1)
    block = lived(Basic(4, 6, 2, "batch"), generator).eval()
    x = torch.randn(3, 4, 8, 8, generator=generator)
    with torch.no_grad():
        folded = block(x)
    torch.testing.assert_close(folded, block(x).detach(), atol=1e-5, rtol=1e-5)


def test_a_norm_that_learns_or_has_groups_is_not_folded() -> None:
    conv, x = (
        nn.Conv2d(4, 8, 1, bias=False),
        torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(2)),
    )
    with torch.no_grad():
        for norm in (norm_for("batch", 8).train(), norm_for("group", 8).eval()):
            before = None if not isinstance(norm, nn.BatchNorm2d) else norm.running_mean.clone()  # type: ignore[union-attr]
            said = normed(conv, norm, x)
            if before is not None:
                assert (norm.running_mean != before).any()  # it counts what it sees
                torch.testing.assert_close(said.mean(dim=(0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
            else:
                torch.testing.assert_close(said, norm(conv(x)), atol=0, rtol=0)
