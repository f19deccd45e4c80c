"""Batch norm over two and four real processes is torch's of one process that has all rows."""

from __future__ import annotations

import copy
from functools import cache

import processes
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sightword.towers.batch_norm import BatchNorm1d, BatchNorm2d, still_statistics
from sightword.towers.heads import mlp_head
from sightword.towers.resnet import Basic

ROWS, CHANNELS = 8, 5
KINDS = {
    "rows": BatchNorm1d(CHANNELS),
    "sequences": BatchNorm1d(CHANNELS, momentum=0.3),
    "maps": BatchNorm2d(CHANNELS, eps=1e-3),
    "no-affine": BatchNorm1d(CHANNELS, affine=False),
    "every-batch-alike": BatchNorm2d(CHANNELS, momentum=None),
    "uncounted": BatchNorm1d(CHANNELS, track_running_stats=False),
}
SHAPES = {"sequences": (3,), "maps": (4, 3), "every-batch-alike": (2, 2)}


def inputs(kind: str) -> tuple[Tensor, Tensor]:
    """Two steps' rows, far from zero mean and unlike from row to row; and what weighs the answers."""
    generator = torch.Generator().manual_seed(len(kind))
    shape = (2, ROWS, CHANNELS, *SHAPES.get(kind, ()))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    drift = torch.arange(ROWS, dtype=torch.float64).view(ROWS, *(1,) * (len(shape) - 2))
    return 3 + x * (1 + drift) + drift, torch.randn(shape, generator=generator, dtype=torch.float64)


def prepared(module: nn.Module) -> nn.Module:
    """A copy in float64 whose parameters are not those at the start."""
    module = copy.deepcopy(module).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return module


def two_steps(module: nn.Module, x: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """Answers, gradients of a sum over rows, and running statistics of two steps."""
    found: dict[str, Tensor] = {}
    for step in range(2):
        given = x[step].clone().requires_grad_()
        answer = module(given)
        (answer.square() * weight[step]).sum().backward()
        assert given.grad is not None
        found |= {f"answer{step}": answer.detach(), f"input{step}": given.grad}
    found |= {f"grad.{n}": p.grad for n, p in module.named_parameters() if p.grad is not None}
    return found | {f"buffer.{n}": b.double() for n, b in module.named_buffers()}


def everything(rows: slice) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for kind, norm in KINDS.items():
        x, weight = inputs(kind)
        parts = two_steps(prepared(norm), x[:, rows], weight[:, rows])
        found |= {f"{kind}.{name}": value for name, value in parts.items()}
    found |= {f"uneven.{n}": v for n, v in two_steps(head(), *(z[:, rows] for z in inputs("rows"))).items()}
    return found


def head() -> nn.Module:
    torch.manual_seed(0)
    return prepared(mlp_head([CHANNELS, 6, 4, CHANNELS], last_norm=True))


def worker(rank: int, ranks: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting{ranks}", rank=rank, world_size=ranks
    )
    share = ROWS // ranks
    found = everything(slice(rank * share, (rank + 1) * share))
    found |= {f"bf16.{name}": value for name, value in of_bfloat16(rank, share).items()}
    save_file({k: v.contiguous() for k, v in found.items()}, f"{folder}/{ranks}-{rank}.safetensors")
    dist.destroy_process_group()


def of_bfloat16(rank: int, share: int) -> dict[str, Tensor]:
    """A norm in float32 of channels-last maps in bfloat16, under autocast, seen twice but counted once."""
    norm = BatchNorm2d(CHANNELS)
    x = inputs("maps")[0][0, rank * share : (rank + 1) * share].to(torch.bfloat16)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = norm(x)
        with still_statistics(norm):
            again = norm(x)
    assert torch.equal(answer, again)
    assert answer.dtype == torch.bfloat16
    assert answer.is_contiguous(memory_format=torch.channels_last)
    (answer.float() ** 3).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    buffers = {name: buffer.float() for name, buffer in norm.named_buffers()}
    return {"answer": answer.detach().float(), "input": x.grad.float()} | buffers


@cache
def alone() -> dict[str, Tensor]:
    return everything(slice(None))


@pytest.fixture(scope="module", params=[2, 4])
def together(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Tensor]]:
    """What each of several processes found."""
    folder, ranks = tmp_path_factory.mktemp("norms"), request.param
    processes.start(worker, (ranks, str(folder)), ranks)
    return [load_file(folder / f"{ranks}-{rank}.safetensors") for rank in range(ranks)]


def test_processes_agree_with_one(together: list[dict[str, Tensor]]) -> None:
    for name, value in alone().items():
        parts = [found[name] for found in together]
        if ".grad." in name:
            found = torch.stack(parts).sum(0)
        elif ".buffer." in name:
            assert all(torch.equal(part, parts[0]) for part in parts), name
            found = parts[0]
        else:
            found = torch.cat(parts)
        torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def test_half_precision_is_normalised_by_statistics_in_float32(together: list[dict[str, Tensor]]) -> None:
    norm = nn.BatchNorm2d(CHANNELS).double()
    x = inputs("maps")[0][0].to(torch.bfloat16).double().requires_grad_()
    answer = norm(x)
    (answer**3).sum().backward()
    wanted = {"answer": answer.detach(), "input": x.grad} | dict(norm.named_buffers())
    for name, exact in wanted.items():
        parts = [found[f"bf16.{name}"] for found in together]
        found = parts[0] if "running" in name or "num" in name else torch.cat(parts)
        close = 1e-6 if "running" in name else 1e-2  # statistics in float32, the rest in 8 bits
        scale = float(exact.abs().max())
        torch.testing.assert_close(found.double(), exact.double(), rtol=close, atol=close * scale, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_one_process_has_torchs_bits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel of our own is not to be had; with it the numbers are in test_fused_norm.py."""
    monkeypatch.setenv("SIGHTWORD_NATIVE", "0")
    ours = KINDS[kind]
    torchs = (nn.BatchNorm2d if isinstance(ours, nn.BatchNorm2d) else nn.BatchNorm1d)(
        CHANNELS, ours.eps, ours.momentum, ours.affine, ours.track_running_stats
    )
    assert list(ours.state_dict()) == list(torchs.state_dict())
    x, weight = (z.float() for z in inputs(kind))
    found, wanted = (two_steps(prepared(norm).float(), x, weight) for norm in (ours, torchs))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert torch.equal(prepared(ours).eval()(x[0].double()), prepared(torchs).eval()(x[0].double()))


def test_every_batch_norm_of_heads_and_towers_is_synchronised() -> None:
    for module in (mlp_head([4, 4, 4], last_norm=True), Basic(4, 8, 2, "batch")):
        norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        assert len(norms) >= 2
        assert all(isinstance(norm, BatchNorm1d | BatchNorm2d) for norm in norms)
