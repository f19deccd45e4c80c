"""How hard a run works its machine: its speed against the measured peak, and its memory, of all processes."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sightword.config import Precision
from sightword.training.peak import gemm_peak
from sightword.training.together import ranks

_AGAIN = 10  # records after which the peak is measured once more, and again after four times as many
_MIB = 2**20


@dataclass(frozen=True)
class Effort:
    """What a record says of it.

    mfu: model FLOPs utilisation, the share of `peak` that training's arithmetic reached (PaLM, arXiv
        2204.02311, appendix B, but against what was measured); at most 1.
    peak: floating-point operations a second of a matrix product, of all processes together.
    memory: MiB by field, of the process that has most.
    """

    mfu: float
    peak: float
    memory: Mapping[str, float]

    def fields(self) -> dict[str, Any]:
        """As a record has them."""
        return {"mfu": self.mfu, "gemm_peak_tflops": self.peak / 1e12, **self.memory}


class EffortMeter:
    """Measures how hard a run works. Everything is asked by all processes together.

    A machine that others use as well shows less than its peak while it is measured. So the highest of several
    measurements counts: one at the start, one after ten records, after forty, and so on, and one whenever a
    step was faster than the peak. If it still is, what it reached is the peak: a share is never above 1.
    """

    def __init__(self, device: torch.device, precision: Precision) -> None:
        self._device, self._precision = device, precision
        self._peak = 0.0
        self._reads, self._again = 0, _AGAIN

    @property
    def peak(self) -> float:
        """Floating-point operations a second of a matrix product: the sum over the processes.

        They measure at the same time, so processes that share cores find what each of them gets.
        """
        return self._peak or self._measure()

    def restart(self) -> None:
        """Forget the most memory that was in use, where the device lets us."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)

    def read(self, reached: float) -> Effort:
        """How hard training has worked since the last reading.

        Args:
            reached: floating-point operations a second, of all processes.
        """
        everyones = ranks.gathered((reached, memory(self._device)))
        self.restart()
        self._reads += 1
        fastest = max(one for one, _ in everyones)
        if fastest > self.peak or self._reads >= self._again:
            self._again *= 4 if self._reads >= self._again else 1
            self._measure(again=True)
        self._peak = max(self._peak, fastest)
        most = {name: max(found[name] for _, found in everyones) for name in everyones[0][1]}
        return Effort(reached / self._peak, self._peak, most)

    def _measure(self, again: bool = False) -> float:
        own = gemm_peak(self._device, self._precision, again)
        self._peak = max(self._peak, sum(ranks.gathered(own)))
        return self._peak


def memory(device: torch.device) -> dict[str, float]:
    """MiB in use, at most: of a GPU since it was last asked, else of this process since it was started.

    Of a GPU `memory_mib` is what tensors took and `memory_reserved_mib` what torch held for them. Else
    `memory_mib` is the largest resident set of this process, loader threads included and processes not.
    """
    if device.type == "cuda":
        return {
            "memory_mib": torch.cuda.max_memory_allocated(device) / _MIB,
            "memory_reserved_mib": torch.cuda.max_memory_reserved(device) / _MIB,
        }
    return {"memory_mib": _largest_resident_set() / _MIB}


def _largest_resident_set() -> int:
    """Bytes. Linux' own count begins anew with each program; getrusage's begins with the parent's size."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
