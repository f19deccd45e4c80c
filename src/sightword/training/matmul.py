"""How float32 matrices are multiplied: by the cheapest of torch's ways that is float32 on this machine.

`torch.set_float32_matmul_precision` promises no numbers. "medium" is another library's product of full
accuracy on some processors and one of bfloat16 on others; "high" is TF32 on a GPU. So it is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

Mode = Literal["highest", "high", "medium"]

BOUND = 2.0  # how many times the error of "highest" still counts as float32
_CHEAPEST_FIRST: tuple[Mode, ...] = ("medium", "high")
_INNER = (64, 256, 1024)  # kernels differ by size
_OUTER = 192


@cache
def full_accuracy(device: torch.device) -> Mode:
    """The cheapest mode whose products are as good as float32's own on a device.

    A mode's error, relative to float64, may be `BOUND` times that of "highest" and no more. A mode that
    gives the same to the bit is no other way. Nothing is timed, so a machine always chooses the same.
    """
    plain = products(device, "highest")
    allowed = [BOUND * error for error in errors(plain)]
    for mode in _CHEAPEST_FIRST:
        found = products(device, mode)
        if all(torch.equal(one, other) for one, other in zip(found, plain, strict=True)):
            continue
        if all(error <= most for error, most in zip(errors(found), allowed, strict=True)):
            return mode
    return "highest"


@contextmanager
def multiplying(mode: Mode | None) -> Iterator[None]:
    """While it lasts, float32 matrices are multiplied by this mode; None: by the one that is set."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(mode or before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def said(mode: Mode | None) -> tuple[str, ...]:
    """What a user should be told of it."""
    if mode in (None, "highest"):
        return ()
    return (
        f"float32 matrices are multiplied in torch's mode '{mode}': measured here, its error is at most"
        f" {BOUND:g} times that of 'highest'",
    )


@torch.no_grad()
def products(device: torch.device, mode: Mode) -> list[Float[Tensor, "_ _"]]:
    """Products of some sizes, by the operations of a network: plain, with a bias, and in batches."""
    answers = []
    with multiplying(mode), torch.autocast(device.type, enabled=False):
        for one, other in _factors():
            a, b = one.float().to(device), other.float().to(device)
            answers += [
                a @ b,
                F.linear(a, b.T.contiguous(), a.new_zeros(b.shape[1])),
                torch.bmm(a[None], b[None])[0],
            ]
    return [answer.cpu() for answer in answers]


def errors(found: list[Float[Tensor, "_ _"]]) -> list[float]:
    """How far `products` are from the truth, relative to its size (root mean square)."""
    truths = [one @ other for one, other in _factors() for _ in range(3)]
    return [float((x.double() - t).norm() / t.norm()) for x, t in zip(found, truths, strict=True)]


@cache
def _factors() -> list[tuple[Float64[Tensor, "_ _"], Float64[Tensor, "_ _"]]]:
    """Numbers that float32 holds exactly."""
    drawn = torch.Generator().manual_seed(0)
    shapes = [((_OUTER, inner), (inner, _OUTER)) for inner in _INNER]
    return [
        (torch.randn(one, generator=drawn).double(), torch.randn(other, generator=drawn).double())
        for one, other in shapes
    ]
