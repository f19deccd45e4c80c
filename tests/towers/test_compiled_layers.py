"""Compiled layers: the numbers of plain ones, once for any length; in a process of its own, unchecked."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sightword.errors import SightwordError
from sightword.towers import layer
from sightword.towers.blocks import Block
from sightword.towers.layer import Layer, compile_blocks, economical, recompute_blocks

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")),
    reason="no C++ compiler here",
)


class Small(Layer):
    """The least that is worth compiling."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(-1, 1, 6))

    @economical
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.tanh(self.scale * x)


def network(make: Callable[[], Layer], layers: int = 2) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(make() for _ in range(layers)))


def gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    """Of a sum over the answer, on the input and on each parameter, taken twice; and the answer."""
    x = x.clone().requires_grad_()
    answer = module(x)
    loss, wanted = answer.square().sum(), [x, *module.parameters()]
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    return [answer.detach(), *first, *torch.autograd.grad(loss, wanted)]


def assert_same(plain: nn.Module, compiled: nn.Module, x: Tensor) -> None:
    for found, wanted in zip(gradients(compiled, x), gradients(plain, x), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def by_the_compiler(_: int) -> None:
    """The real compiler, on the smallest of layers."""
    torch.set_num_threads(1)
    quick = mock.patch("torch._inductor.cpu_vec_isa.valid_vec_isa_list", list)  # scalar code: no search
    with quick, mock.patch("torch._inductor.config.cpp_cache_precompile_headers", new=False):
        plain = network(Small)
        compiled = copy.deepcopy(plain)
        compile_blocks(compiled, CPU)
        assert all(part.compiled for part in compiled)
        assert_same(plain, compiled, torch.randn(4, 6))


def for_any_length(_: int) -> None:
    """Everything but the generated code: transformer blocks are one graph, made twice for all lengths."""
    torch.set_num_threads(1)
    layer._compiled = cache(partial(torch.compile, backend="eager"))
    layer._can_compile = lambda device: None
    plain = network(partial(Block, 16, 2), 3)
    compiled, again = copy.deepcopy(plain), copy.deepcopy(plain)
    compile_blocks(compiled, CPU)
    compile_blocks(again, CPU)
    recompute_blocks(again)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for length in (9, 9, 5, 12, 3, 7):
        assert_same(plain, compiled, torch.randn(2, length, 16))
        assert_same(plain, again, torch.randn(2, length, 16))
    counters = torch._dynamo.utils.counters
    assert counters["graph_break"] == {}
    assert counters["stats"]["unique_graphs"] == 2, "three layers, two networks, five lengths"
    clone = copy.deepcopy(compiled)
    with torch.no_grad():
        clone[0].mlp.fc2.bias += 1
    assert_same(nn.Sequential(*map(plainly, clone)), clone, torch.randn(2, 7, 16))
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        compiled(torch.randn(2, 7, 16))
    with FlopCounterMode(display=False) as wanted, torch.no_grad():
        plain(torch.randn(2, 7, 16))
    assert counted.get_total_flops() == wanted.get_total_flops() > 0


def plainly(block: Layer) -> Layer:
    block = copy.deepcopy(block)
    block.compiled = False
    return block


@pytest.mark.slow
@needs_compiler
def test_compiled_by_the_compiler() -> None:
    mp.spawn(by_the_compiler)


def test_blocks_are_compiled_once_for_any_length() -> None:
    mp.spawn(for_any_length)


def test_no_compiler_is_a_clear_error(tmp_path: Path) -> None:
    with (
        mock.patch.dict("os.environ", {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}),
        mock.patch("torch._inductor.config.cpp.cxx", (str(tmp_path / "g++"),)),
        pytest.raises(SightwordError, match=r"--compile needs a compiler .* leave --compile out"),
    ):
        compile_blocks(network(Small), CPU)
