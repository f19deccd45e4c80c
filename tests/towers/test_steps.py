"""Steps of a residual network in one piece: what they are one by one, and what torch makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sightword.towers import resnet
from sightword.towers.batch_norm import BatchNorm2d
from sightword.towers.convolution import Pictures
from sightword.towers.layer import recompute_blocks
from sightword.towers.native import convolution as native
from sightword.towers.resnet import Basic, InSteps

HERE = native.usable(32, 32, 32)
needs_amx = pytest.mark.skipif(not HERE, reason="no AMX here, or no kernel")
IN_ONE = "_InOne"


def block(channels: int, out: int, stride: int) -> Basic:
    made: Basic = Basic(channels, out, stride, "batch").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        for norm in (m for m in made.modules() if isinstance(m, BatchNorm2d)):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    return made


def stem() -> InSteps:
    parts: list[nn.Module] = []
    for channels in (3, 64):
        parts += [nn.Conv2d(channels, 64, 3, 2, 1, bias=False), BatchNorm2d(64), nn.ReLU(inplace=True)]
    return InSteps(*parts).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def maps(b: int, c: int, side: int) -> Tensor:
    return torch.randn(side, side, b, c).bfloat16().permute(2, 3, 0, 1)


def pictures(b: int, side: int) -> Pictures:
    return Pictures(
        torch.randint(256, (b, 3, side, side), dtype=torch.uint8), torch.rand(3) / 50, torch.rand(3)
    )


def trained(
    module: nn.Module, x: Tensor | Pictures, sent: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """The answer; gradients of x, where it is a map, and of the parameters; what the norms counted."""
    module.zero_grad(set_to_none=True)
    given = x if isinstance(x, Pictures) else x.detach().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = module(given)
    answer.backward(torch.ones_like(answer).cumsum(1) / 100 if sent is None else sent)
    found = [] if isinstance(given, Pictures) else [given.grad]
    found += [p.grad for p in module.parameters()]
    assert all(g is not None for g in found)
    counts = [m for name, m in module.named_buffers()]
    return answer, [*found, *(c.clone() for c in counts)]  # type: ignore[list-item]


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("residual", "one_after_another"):
        monkeypatch.setattr(resnet, name, lambda *given: None)


def in_float64(made: Basic, x: Tensor, sent: Tensor) -> tuple[Tensor, list[Tensor]]:
    """By torch alone, from the same weights rounded to bfloat16."""
    given = x.double().contiguous().requires_grad_()
    wide: dict[str, Tensor] = {}
    for name, p in made.named_parameters():
        wide[name] = (
            (p.bfloat16() if "norm" not in name and p.dim() == 4 else p).detach().double().requires_grad_()
        )

    def normed(y: Tensor, name: str) -> Tensor:
        return F.batch_norm(y, None, None, wide[f"{name}.weight"], wide[f"{name}.bias"], training=True)

    stride = made.conv1.stride[0]
    y = F.relu(normed(F.conv2d(given, wide["conv1.weight"], None, stride, 1), "norm1"))
    y = normed(F.conv2d(y, wide["conv2.weight"], None, 1, 1), "norm2")
    beside = given
    if len(made.shortcut):
        at = len(made.shortcut) - 2
        beside = F.avg_pool2d(given, stride) if stride > 1 else given
        beside = normed(F.conv2d(beside, wide[f"shortcut.{at}.weight"]), f"shortcut.{at + 1}")
    answer = F.relu(y + beside)
    asked: Sequence[Tensor] = [given, *wide.values()]
    return answer.detach(), list(torch.autograd.grad(answer, asked, sent.double()))


def away(ours: Tensor, truth: Tensor) -> float:
    return float((ours.detach().double() - truth).norm() / truth.norm().clamp_min(1e-9))


CASES = [(64, 64, 1, 8, 40), (64, 128, 2, 8, 64), (32, 96, 1, 5, 33), (96, 96, 1, 4, 32)]


@needs_amx
@pytest.mark.parametrize("case", CASES)
def test_a_block_is_as_near_to_float64_as_torch_is(
    case: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    channels, out, stride, side, b = case
    torch.manual_seed(side)
    made, x, other = block(channels, out, stride), maps(b, channels, side), block(channels, out, stride)
    other.load_state_dict(made.state_dict())
    sent = torch.randn(b, out, side // stride, side // stride).bfloat16()
    answer, ours = trained(made, x, sent)
    truth, exact = in_float64(made, x, sent)
    monkeypatch.setenv("SIGHTWORD_NATIVE", "0")
    plain, theirs = trained(other, x, sent)
    assert IN_ONE in str(answer.grad_fn)
    assert "Native" in str(plain.grad_fn) or "Relu" in str(plain.grad_fn)
    assert away(answer, truth) < 1.05 * away(plain, truth)
    for own, others, right in zip(ours, theirs, exact, strict=False):
        assert away(own, right) < 1.1 * away(others, right) < 0.1


@needs_amx
@pytest.mark.parametrize("case", CASES)
def test_in_one_piece_is_one_by_one(case: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    channels, out, stride, side, b = case
    torch.manual_seed(side)
    first, x = block(channels, out, stride), maps(b, channels, side)
    other = block(channels, out, stride)
    other.load_state_dict(first.state_dict())
    answer, found = trained(first, x)
    one_by_one(monkeypatch)
    plain, expected = trained(other, x)
    assert IN_ONE in str(answer.grad_fn)
    assert IN_ONE not in str(plain.grad_fn)
    assert torch.equal(answer, plain)
    assert away(found[0], expected[0].double()) < 2**-8  # one rounding less
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@needs_amx
def test_a_stem_in_one_piece_is_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    first, x, other = stem(), pictures(70, 32), stem()
    other.load_state_dict(first.state_dict())
    answer, found = trained(first, x)
    one_by_one(monkeypatch)
    plain, expected = trained(other, x)
    assert IN_ONE in str(answer.grad_fn)
    assert torch.equal(answer, plain)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
        assert ours.stride() == theirs.stride()  # torch's AdamW steps wrongly with others


@needs_amx
def test_a_gradient_may_be_taken_twice_and_what_was_sent_stays() -> None:
    made, x = block(64, 64, 1), maps(32, 64, 8).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = made(x)
    sent = torch.randn_like(answer)
    before = sent.clone()
    once, again = (
        torch.autograd.grad(answer, [x, *made.parameters()], sent, retain_graph=True) for _ in "12"
    )
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert torch.equal(sent, before)


@needs_amx
def test_recomputed_it_is_the_same_and_counts_once() -> None:
    first, x, other = block(64, 64, 1), maps(32, 64, 8), block(64, 64, 1)
    other.load_state_dict(first.state_dict())
    recompute_blocks(other)
    for ours, theirs in zip(trained(first, x)[1], trained(other, x)[1], strict=True):
        assert torch.equal(ours, theirs)


@needs_amx
def test_what_is_locked_gets_no_gradient() -> None:
    made, x = block(64, 64, 1), maps(32, 64, 8).requires_grad_()
    made.norm1.weight.requires_grad_(False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = made(x)
    answer.sum().backward()
    assert made.norm1.weight.grad is None
    assert made.norm1.bias.grad is not None


@pytest.mark.parametrize(
    "why", ["float32", "evaluation", "locked", "few", "large", "group", "same", "bfloat16 weights", "order"]
)
def test_other_steps_are_done_one_by_one(why: str) -> None:
    made: Basic = Basic(64, 64, 1, "group") if why == "group" else block(64, 64, 1)
    x = maps(8 if why == "few" else 32, 64, 16 if why == "large" else 8)
    if why == "evaluation":
        made.eval()
    if why == "locked":
        made.conv2.weight.requires_grad_(False)
    if why == "same":
        made.conv1.padding = "same"
    if why == "bfloat16 weights":
        made.conv1.bfloat16()
    if why == "order":
        x = x.contiguous()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=why != "float32"):
        answer = made(x.float() if why == "float32" else x)
    assert IN_ONE not in str(answer.grad_fn)
