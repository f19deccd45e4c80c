"""Initial weights from a seed of their own purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sightword.randomness import stream


def reseed(seed: int, device: torch.device) -> None:
    """`torch.manual_seed` for the CPU and one device. Torch's seeds every kind of device."""
    if device.type not in ("cpu", "cuda"):
        torch.manual_seed(seed)
        return
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def seeded(seed: int, *purpose: object) -> Iterator[None]:
    """While it lasts, torch draws from (seed, purpose) alone; afterwards as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, *purpose))
        yield
