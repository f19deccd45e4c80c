"""What GPUs can do, and how large published corpora are: their makers' figures, in two files of data."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from sightword.errors import SightwordError, unknown

GIB = 1 << 30


@dataclass(frozen=True)
class Device:
    """A GPU.

    memory: bytes that a program may have.
    bf16_flops: multiply-adds in bfloat16 summed in float32, a second, counted as two, without sparsity.
    bandwidth: of its memory, bytes a second.
    link_rate: between GPUs of a host, bytes a second, both directions together.
    """

    name: str
    memory: float
    bf16_flops: float
    bandwidth: float
    link: str
    link_rate: float
    source: str


def find(name: str, memory_gib: int | float | None = None, tflops: int | float | None = None) -> Device:
    """The device of that name; one that nobody knows is described by its memory and its TFLOP/s.

    Raises:
        SightwordError: there is none of that name, and it is not described.
    """
    known = _read("devices.json")
    if name in known:
        device = _device(name, known[name])
    elif memory_gib and tflops:
        device = Device(name, float(memory_gib * GIB), tflops * 1e12, 0.0, "", 0.0, "as given")
    else:
        raise unknown("device", name, known, "(or describe it: --memory-gib X --tflops X)")
    for flag, value in (("--memory-gib", memory_gib), ("--tflops", tflops)):
        if value is not None and value <= 0:
            raise SightwordError(f"{flag} must be above zero, found {value:g}")
    return replace(
        device,
        memory=float(memory_gib * GIB) if memory_gib else device.memory,
        bf16_flops=tflops * 1e12 if tflops else device.bf16_flops,
    )


def names() -> list[str]:
    """Every device that is known."""
    return list(_read("devices.json"))


def corpus_pairs(name: str) -> int:
    """How many pairs a published corpus has, by the name that recipes give it; 0 when it is none of them."""
    found = _read("corpora.json").get(name)
    return int(found["pairs"]) if found else 0


def _device(name: str, row: dict[str, Any]) -> Device:
    return Device(
        name,
        memory=row["memory_gib"] * GIB,
        bf16_flops=row["bf16_tflops"] * 1e12,
        bandwidth=row["bandwidth_tb_s"] * 1e12,
        link=row["link"],
        link_rate=row["link_gb_s"] * 1e9,
        source=row["source"],
    )


def _read(file: str) -> dict[str, Any]:
    text = resources.files("sightword").joinpath("data", file).read_text(encoding="utf-8")
    rows: dict[str, Any] = json.loads(text)
    return rows
