"""Initial weights from a seed of their own purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sightword.randomness import stream


@contextmanager
def seeded(seed: int, *purpose: object) -> Iterator[None]:
    """While it lasts, torch draws from (seed, purpose) alone; afterwards as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, *purpose))
        yield
