"""Rows of numbers as the matrix tiles want them: in blocks, each in one piece of memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import BFloat16, Float
from torch import Tensor

BLOCK = 32  # rows, and numbers of each, that are worked on at once


class Tiled(NamedTuple):
    """Rows in bfloat16, in blocks of 32 by 32 numbers, as linear.h says.

    Each block is read and written in one go. Of rows that lie one after the other, 32 by 32 numbers are 32
    lines of memory far apart, which come from afar at a quarter of the speed.
    """

    numbers: BFloat16[Tensor, "blocks columns 32 32"]
    rows: int

    @classmethod
    def empty(cls, rows: int, n: int) -> Tiled:
        """Room for as many rows, at least 32, of n numbers."""
        return cls(torch.empty(-(-rows // BLOCK), n // BLOCK, BLOCK, BLOCK, dtype=torch.bfloat16), rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and the numbers of each."""
        return self.rows, self.numbers.shape[1] * BLOCK


def begin(rows: Float[Tensor, "rows n"] | Tiled) -> int:
    """Where its numbers are in memory."""
    return (rows.numbers if isinstance(rows, Tiled) else rows).data_ptr()
