"""Two real processes give the loss and the gradients of one."""

from __future__ import annotations

from pathlib import Path

import processes
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor

from sightword import distributed
from sightword.losses import contrast

RANKS, ROWS = 2, 4


def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two inputs of the whole batch, and the weights of two encoders."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, RANKS * ROWS, 6, generator=generator, dtype=torch.float64)
    left, right = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    return a, b, left.requires_grad_(), right.requires_grad_()


def losses_of(a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """As the objectives do: local rows against everybody's."""
    x, y = (torch.nn.functional.normalize(z, dim=1) for z in (a, b))
    all_x, all_y = distributed.gather(x), distributed.gather(y)
    offset = distributed.offset(x)
    return {
        "info_nce": contrast.info_nce(x, y, 9.0, all_x, all_y, offset),
        "nt_xent": contrast.nt_xent(x, y, 0.2, all_x, all_y, offset),
        "momentum_contrast": contrast.momentum_contrast(x, all_y, 0.2, offset),
        "sigmoid_pairs": contrast.sigmoid_pairs(x, y, 9.0, -3.0, all_y, offset),
    }


def step(rows: slice) -> dict[str, Tensor]:
    """Losses and gradients of some rows, averaged over ranks."""
    a, b, left, right = data()
    found: dict[str, Tensor] = {}
    for name, loss in losses_of((a[rows] @ left).tanh(), (b[rows] @ right).tanh()).items():
        gradients = torch.autograd.grad(loss, [left, right], retain_graph=True)
        found[name] = distributed.mean(loss)
        found[f"{name}/left"], found[f"{name}/right"] = map(distributed.mean, gradients)
    return found


def halves(rank: int) -> dict[str, Tensor]:
    """The gradient of bfloat16 rows: 1 + 1/256 from one rank, 1/512 from the other; summed in float32."""
    rows = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    every = distributed.gather(rows)
    loss = (every * (1 / 512 if rank else 1 + 1 / 256)).sum()
    return {"half": every, "half/gradient": torch.autograd.grad(loss, rows)[0]}


def worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS)
    assert (distributed.rank(), distributed.world_size()) == (rank, RANKS)
    mine = torch.arange(6.0).view(3, 2) + 100 * rank
    assert distributed.offset(mine) == 3 * rank
    found = step(slice(rank * ROWS, (rank + 1) * ROWS))
    found["gathered"] = distributed.gather(mine)
    found |= halves(rank)
    save_file(found, f"{folder}/rank{rank}.safetensors")
    dist.destroy_process_group()


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    processes.start(worker, (str(tmp_path),), RANKS)
    alone = step(slice(None))
    for rank in range(RANKS):
        together = load_file(tmp_path / f"rank{rank}.safetensors")
        rows = torch.arange(6.0).view(3, 2)
        assert torch.equal(together.pop("gathered"), torch.cat([rows, rows + 100]))
        assert torch.equal(together.pop("half"), torch.ones(2 * RANKS, 3))
        gradient = together.pop("half/gradient")
        assert torch.equal(gradient, torch.full((2, 3), 1 + 3 / 512).bfloat16())
        assert set(together) == set(alone)
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value.detach(), rtol=1e-12, atol=1e-14, msg=name)


def test_one_process_needs_no_group() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    assert (distributed.rank(), distributed.world_size(), distributed.offset(x)) == (0, 1, 0)
    assert distributed.gather(x) is x
    assert torch.equal(distributed.mean(x), x)
    assert not distributed.mean(x).requires_grad
