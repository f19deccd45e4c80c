"""Rows of a batch in blocks that stay in a core's cache while a chain of operations passes over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

BLOCK = 2**17  # values in a block: 512 KiB of float32, a half of a common second-level cache


def blocks(rows: Int[np.ndarray, " n"], values: int) -> Iterator[Int[np.ndarray, " k"]]:
    """`rows` in order, cut into blocks of as many as fit; each has this many values."""
    step = max(1, BLOCK // values)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
