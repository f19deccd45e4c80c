"""A small module of every kind of tensor, and processes that pass its checkpoint on, for tests of several."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from sightword.distributed import rank
from sightword.training.optimizer import named_trainable
from sightword.training.saving import checkpoint
from sightword.training.together.parallel import whole

STAGES = (("fsdp", 2), ("ddp", 4), ("fsdp", 4), ("ddp", 2))  # who goes on from whom, after one alone


class Small(nn.Module):
    """Sizes that nothing divides, a channels-last kernel, statistics, a frozen and a late part."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 7, 3).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(7)
        self.block = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 1))
        self.late = nn.Linear(3, 3)
        self.frozen = nn.Parameter(torch.randn(6, 2), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """One number for each picture, shape (b, 1)."""
        answer: Tensor = self.block(self.norm(self.conv(x)).mean((2, 3))) * self.scale
        return answer


def made(kind: str, world: int, seed: int) -> tuple[Small, torch.optim.AdamW]:
    """The module as processes hold it, and its optimizer."""
    model = Small(seed)
    if kind == "fsdp":
        model.conv.to(memory_format=torch.contiguous_format)  # FSDP takes no other
        mesh = init_device_mesh("cpu", (world,))
        fully_shard(model.block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    parameters = list(named_trainable(model).values())
    return model, torch.optim.AdamW(parameters, lr=0.1, fused=True)


def train(model: Small, optimizer: torch.optim.AdamW, steps: range) -> None:
    """Steps that are the same in every process, so that averaging changes nothing."""
    for step in steps:
        x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(step))
        model(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def everything(model: Small, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """All of the model and of its optimizer, whole, by names of its own."""
    found = {f"m {name}": whole(tensor) for name, tensor in model.state_dict().items()}
    for name, parameter in named_trainable(model).items():
        for part, value in optimizer.state.get(parameter, {}).items():
            found[f"o {name} {part}"] = whole(value)
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.items()}


def passes_on(number: int, folder: str) -> None:
    """What process `number` does in every stage: read, write down what it has, save, and go on."""
    torch.set_num_threads(1)
    out = Path(folder)
    for stage, (kind, world) in enumerate(STAGES, start=1):
        if number >= world:
            continue
        meeting = f"file://{out}/meeting{stage}"
        dist.init_process_group("gloo", init_method=meeting, rank=number, world_size=world)
        model, optimizer = made(kind, world, seed=stage)
        saved, complaints = checkpoint.newest(out, quiet=True)
        assert saved is not None
        assert (saved.step, complaints) == (stage, [])
        checkpoint.restore(saved, model, optimizer)
        dist.barrier()  # all have found the same before there is a newer one
        found = everything(model, optimizer)
        if rank() == 0:
            save_file(found, out / f"stage{stage}.safetensors")
        checkpoint.save(out, model, optimizer, {"step": stage + 1}, 0)
        _goes_on(kind, world, model, optimizer, out)
        dist.destroy_process_group()


def _goes_on(kind: str, world: int, model: Small, optimizer: torch.optim.AdamW, out: Path) -> None:
    """Stopped, saved and read again in as many processes, training ends with the same bits."""
    aside = out / f"twins-{kind}{world}"
    train(model, optimizer, range(2))
    path = checkpoint.save(aside, model, optimizer, {"step": 1}, 0)
    twin, its_optimizer = made(kind, world, seed=99)
    checkpoint.restore(checkpoint.Saved(path, {"step": 1}), twin, its_optimizer)
    for one, its in ((model, optimizer), (twin, its_optimizer)):
        train(one, its, range(2, 4))
    ours, theirs = everything(model, optimizer), everything(twin, its_optimizer)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


class Kept(Small):
    """The same with a part that is kept for use, as a pretrainer has its encoders."""

    def kept_encoders(self) -> nn.Module:
        """What `model.safetensors` holds."""
        return self.block
