"""Several processes that train one model: torchrun's group, and who holds which part of the model.

Started by torchrun (or anything that sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT), the
processes share every step: rank r takes the r-th piece of the global batch. `ddp` keeps a copy of the model
in each process, `fsdp` a piece of every parameter, gradient and optimizer state (`fully_shard`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from sightword.config import Config
from sightword.distributed import world_size
from sightword.errors import LonelyError, SharedError, SightwordError
from sightword.towers.layer import Layer
from sightword.towers.momentum import Follower
from sightword.training.pretrainer import Pretrainer
from sightword.training.together.lost import lost
from sightword.training.together.meeting import meet
from sightword.training.together.watchdog import collectives_timeout

_COMING = timedelta(minutes=30)  # that processes wait for each other at the start
_SHARE = 0.5  # of a device's memory: copies of a model that need more are cut into pieces
_BYTES = 16  # of a trained parameter: weight, gradient and AdamW's two moments, in float32


@contextmanager
def together(hang_minutes: float) -> Iterator[None]:
    """Join the other processes that were started with this one; alone, nothing happens.

    Args:
        hang_minutes: after this long a step counts as hung.

    Raises:
        LonelyError: this process alone met an error; the others are not told by it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    rank, world = _join(collectives_timeout(hang_minutes))
    try:
        yield
    except (SharedError, LonelyError):
        raise
    except SightwordError as error:
        raise LonelyError(f"process {rank} of {world}: {error}") from error
    except RuntimeError as error:  # the loop tells of those that come up in it, with its step
        gone = lost(error, None)
        if gone is None:
            raise
        raise gone from error
    finally:
        dist.destroy_process_group()


def _join(patience: timedelta | None) -> tuple[int, int]:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend, store = "cpu:gloo,cuda:nccl" if cuda else "gloo", meet(patience or _COMING)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=patience)
    return rank, world


def own_device(name: str) -> str:
    """`auto` and `cuda` as this process's own of the GPUs of its host."""
    shared = world_size() > 1 and torch.cuda.is_available() and name in ("auto", "cuda")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if shared else name


def shards(config: Config, model: nn.Module, device: torch.device) -> bool:
    """Whether each process holds a piece of the model instead of a copy.

    `auto` cuts it where copies would take more than half of a GPU's memory before the first activation.
    """
    if world_size() == 1 or config.parallel == "ddp":
        return False
    if config.parallel == "fsdp":
        return True
    if device.type != "cuda":
        return False
    parameters = sum(p.numel() for p in model.parameters())
    return too_large_to_copy(parameters, torch.cuda.get_device_properties(device).total_memory)


def too_large_to_copy(parameters: int, memory: float) -> bool:
    """Whether `auto` cuts a model of so many parameters into pieces, on devices with so many bytes."""
    return _BYTES * parameters > _SHARE * memory


def shard(model: Pretrainer, device: torch.device) -> None:
    """Cut every parameter into a piece for each process: the towers' layers one by one, then the rest.

    Call it before the optimizer is made: parameters are replaced. Without autocast nothing changes precision.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.contiguous()  # sharding refuses channels-last weights
    mesh = init_device_mesh(device.type, (world_size(),))
    for module in model.modules():
        if isinstance(module, Layer):
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh, ignored_params=_fitted_before(model))
    for name in ("encode", "score"):
        register_fsdp_forward_method(model, name)


def _fitted_before(model: Pretrainer) -> set[nn.Parameter]:
    """What objectives fit before the first step, by themselves, and training does not change."""
    still = {p for p in model.objectives.parameters() if not p.requires_grad}
    followers = [module for module in model.objectives.modules() if isinstance(module, Follower)]
    return still - {p for follower in followers for p in follower.parameters()}


def sharded(model: nn.Module) -> bool:
    """Whether this process holds a piece of the model only."""
    return isinstance(model, FSDPModule)


def own_part(x: Tensor) -> Tensor:
    """Of a parameter or gradient that is cut into pieces, the piece that lies here; it shares its memory."""
    return x.to_local() if isinstance(x, DTensor) else x


def whole(x: Tensor) -> Tensor:
    """All of a tensor; all processes call it together when it is cut into pieces."""
    return x.full_tensor() if isinstance(x, DTensor) else x
