"""What the many layers of deep networks have in common: recomputed in backward, and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial, wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import _get_current_dispatch_mode
from torch.utils.checkpoint import checkpoint

from sightword import distributed
from sightword.errors import SightwordError

_VARIANTS = 64  # of one layer's code: widths, precisions, lengths, with and without gradient

P = ParamSpec("P")


class Layer(nn.Module):
    """One of a network's many layers of one kind. Its forward is marked as `economical`.

    Attributes:
        recomputed: its activations are not kept for backward but computed again there.
        compiled: it is compiled by torch.compile.
    """

    recomputed = False
    compiled = False


L = TypeVar("L", bound=Layer)
Forward = Callable[Concatenate[L, P], Tensor]


def economical(forward: Forward[L, P]) -> Forward[L, P]:
    """The forward of a `Layer`, run as its attributes say.

    Compilation is innermost, then comes recomputation, and the module's hooks are outside of both: so
    sharding (`fully_shard`) gathers a layer's parameters once for its backward, recomputation included.
    """

    @wraps(forward)
    def run(self: L, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        once = _compiled(forward) if self.compiled and _get_current_dispatch_mode() is None else forward
        if not (self.recomputed and torch.is_grad_enabled()):
            return once(self, *args, **kwargs)
        named = partial(once, **kwargs)  # what is checkpoint's own and what is the layer's must not mix
        context = partial(_first_and_again, self)
        answer: Tensor = checkpoint(named, self, *args, use_reentrant=False, context_fn=context)
        return answer

    return run


def recompute_blocks(module: nn.Module) -> None:
    """Keep of each layer only its input for the backward pass, and compute the rest again there.

    Chen et al. 2016 (arXiv 1604.06174), section 3, a segment being one layer: about a third more compute, and
    the gradient is the same to the bit. Without gradient (teachers, the first pass of feature caching,
    evaluation) nothing is computed twice. Names in the state dict stay.
    """
    for layer in _layers(module):
        layer.recomputed = True


def compile_blocks(module: nn.Module, device: torch.device) -> None:
    """Compile each kind of layer once; layers of one shape share the code. Names in the state dict stay.

    Where a length varies (words, visible patches), the second length that is met compiles once more for any
    length. Whoever counts operations or looks at them one by one sees the layers uncompiled. Layers with
    batch norm stay as they are where it waits for other processes.

    Args:
        module: whose layers.
        device: where they will run; compiling is tried there.

    Raises:
        SightwordError: nothing can be compiled here.
    """
    _can_compile(device)
    torch._dynamo.config.recompile_limit = max(_VARIANTS, torch._dynamo.config.recompile_limit)
    torch._functorch.config.donated_buffer = (
        False  # each term's own gradient is taken from a graph that stays
    )
    for layer in _layers(module):
        layer.compiled = distributed.world_size() == 1 or not _norms(layer)


def _can_compile(device: torch.device) -> None:
    try:
        torch.compile(torch.sin)(torch.ones(8, device=device))
    except (RuntimeError, OSError, ImportError) as error:
        raise SightwordError(
            f"--compile needs a compiler (g++ for a CPU, Triton for a GPU), and none works here: "
            f"{str(error).strip().splitlines()[0]}; install one, or leave --compile out"
        ) from error


def _layers(module: nn.Module) -> Iterator[Layer]:
    return (m for m in module.modules() if isinstance(m, Layer))


@cache
def _compiled(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return torch.compile(forward)


def _first_and_again(layer: Layer) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What a layer is run in, the first time and whenever it is recomputed."""
    norms = _norms(layer)
    return nullcontext(), _Uncounted(norms) if norms else nullcontext()


def _norms(layer: Layer) -> list[_BatchNorm]:
    return [m for m in layer.modules() if isinstance(m, _BatchNorm)]


class _Uncounted(AbstractContextManager[None]):
    """Batch norms that do to the batch what they do now, but do not count it again.

    A class, because it is entered as often as a backward pass goes through the layer.
    """

    def __init__(self, norms: list[_BatchNorm]) -> None:
        self._norms = norms
        self._tracked = [norm.track_running_stats for norm in norms]

    def __enter__(self) -> None:
        self._before = [
            (m.momentum, m.track_running_stats, _copied(m.num_batches_tracked)) for m in self._norms
        ]
        for norm, tracked in zip(self._norms, self._tracked, strict=True):
            norm.momentum, norm.track_running_stats = 0.0, tracked

    def __exit__(self, *_: object) -> None:
        for norm, (momentum, tracks, count) in zip(self._norms, self._before, strict=True):
            norm.momentum, norm.track_running_stats = momentum, tracks
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)


def _copied(count: Tensor | None) -> Tensor | None:
    return None if count is None else count.clone()
