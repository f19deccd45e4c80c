"""What a matrix product reaches on this machine, measured: the peak that training's speed is held against.

A number from a data sheet says little: clocks, cores and threads that a run really has decide. So products as
large as a ViT-B's layers are timed at the start of a run, in its precision, on its device and threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sightword.config import Precision

Shape = tuple[int, int, int]  # rows, width before, width after
# From small to large, so that a slow machine measures those that it has the time for. Short products among
# them: the best of many short ones is hardly disturbed by other programs that share the cores.
SHAPES: Sequence[Shape] = ((512, 512, 512), (1024, 768, 768), (1024, 768, 3072), (2048, 2048, 2048))
SHAPES_OF_GPUS: Sequence[Shape] = (
    (4096, 4096, 4096),
    (16384, 768, 3072),
    (16384, 3072, 768),
    (8192, 8192, 8192),
)
SECONDS, SECONDS_AGAIN = 0.3, 0.1  # that products are timed for; filling the matrices comes on top
_IN_A_ROW = 8  # products between two events on a GPU
_WARM_UP = 3

Key = tuple[str, torch.dtype, int, str]
_known: dict[Key, float] = {}  # in this process: of several runs, the later ones need not measure again


def gemm_peak(device: torch.device, precision: Precision, again: bool = False) -> float:
    """The most floating-point operations a second that a matrix product reaches here, a multiply-add as two.

    Of this process alone, on the threads that it has now, and in float32 in the mode that
    `torch.set_float32_matmul_precision` has set. Draws no random numbers and changes no setting. A process
    measures once, and remembers the highest of what it has measured.

    Args:
        device: where the run trains.
        precision: bf16, or else float32.
        again: measure once more, for a shorter time.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    key = str(device), dtype, torch.get_num_threads(), torch.get_float32_matmul_precision()
    if again or key not in _known:
        seconds = SECONDS_AGAIN if key in _known else SECONDS
        _known[key] = max(_known.get(key, 0.0), _measured(device, dtype, seconds))
    return _known[key]


@torch.no_grad()
def _measured(device: torch.device, dtype: torch.dtype, at_most: float) -> float:
    shapes = SHAPES if device.type == "cpu" else SHAPES_OF_GPUS
    seconds = _seconds_by_events if device.type == "cuda" else _seconds
    best, began = 0.0, time.perf_counter()
    for shape in shapes:
        flops = 2.0 * shape[0] * shape[1] * shape[2]
        left = began + at_most - time.perf_counter()
        if best and flops / best > left:
            break
        rows, weight = _filled(shape[0], shape[1], device, dtype), _filled(shape[2], shape[1], device, dtype)
        until = time.perf_counter() + left / len(shapes)
        while True:
            best = max(best, flops / seconds(lambda a=rows, w=weight: F.linear(a, w)))  # type: ignore[misc]
            if time.perf_counter() >= until:
                break
    return best


def _filled(rows: int, columns: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Numbers between -1 and 1 that differ, always the same: a GPU multiplies equal ones at higher clocks."""
    return (
        torch.arange(rows * columns, device=device, dtype=torch.float32).sin_().view(rows, columns).to(dtype)
    )


def _seconds(product: Callable[[], Tensor]) -> float:
    """Of one product; reading one of its numbers waits until it is there."""
    begun = time.perf_counter()
    product()[0, 0].item()
    return time.perf_counter() - begun


def _seconds_by_events(product: Callable[[], Tensor]) -> float:
    """Of one product among several in a row, by a GPU's own clock."""
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(_WARM_UP):
        product()
    before.record()
    for _ in range(_IN_A_ROW):
        product()
    after.record()
    after.synchronize()
    return before.elapsed_time(after) / 1e3 / _IN_A_ROW
