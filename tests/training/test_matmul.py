"""How float32 matrices are multiplied: only in ways that are float32, and only while a run lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import tiny
from torch import Tensor

from sightword.training import matmul
from sightword.training.loop import train
from sightword.training.matmul import Mode, errors, full_accuracy, multiplying, products, said
from sightword.training.records import read_records

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Each test measures for itself, and leaves nothing behind."""
    before = torch.get_float32_matmul_precision()
    full_accuracy.cache_clear()
    yield
    full_accuracy.cache_clear()
    torch.set_float32_matmul_precision(before)


def pretend(monkeypatch: pytest.MonkeyPatch, kernels: Mapping[str, str]) -> None:
    """A machine whose modes multiply as told: exactly as "highest", in another order, or in fewer bits."""

    def multiplied(device: torch.device, mode: Mode) -> list[Tensor]:
        plain = products(device, "highest")
        kind = kernels.get(mode, "same")
        if kind == "same":
            return plain
        pairs = [pair for pair in matmul._factors() for _ in range(3)]
        if kind == "reordered":
            return [(a.float().flip(1) @ b.float().flip(0)) for a, b in pairs]
        kept = torch.bfloat16 if kind == "bf16" else torch.float32
        once = [(a.to(kept).double() @ b.to(kept).double()).float() for a, b in pairs]
        return once if kind == "bf16" else [plain[0].bfloat16().float(), *plain[1:]]

    monkeypatch.setattr(matmul, "products", multiplied)


@pytest.mark.parametrize(
    ("kernels", "chosen"),
    [
        ({}, "highest"),
        ({"medium": "bf16"}, "highest"),
        ({"medium": "bf16", "high": "bf16"}, "highest"),
        ({"medium": "reordered"}, "medium"),
        ({"medium": "bf16", "high": "reordered"}, "high"),
        ({"medium": "reordered", "high": "reordered"}, "medium"),
        ({"medium": "bf16 for one kind of product"}, "highest"),
    ],
)
def test_the_cheapest_mode_that_is_float32(
    monkeypatch: pytest.MonkeyPatch, kernels: Mapping[str, str], chosen: Mode
) -> None:
    pretend(monkeypatch, kernels)
    assert full_accuracy(CPU) == chosen


def test_what_is_chosen_here_is_as_good_as_float32_itself() -> None:
    """On other numbers and another shape than it was chosen by."""
    drawn = torch.Generator().manual_seed(5)
    a, b = torch.randn(130, 700, generator=drawn), torch.randn(700, 90, generator=drawn)
    truth, found = a.double() @ b.double(), dict[str, float]()
    for mode in ("highest", full_accuracy(CPU)):
        with multiplying(mode):
            found[mode] = float((a @ b - truth).norm() / truth.norm())
    assert max(found.values()) <= matmul.BOUND * found["highest"] < 1e-5


def test_errors_are_relative_to_float64() -> None:
    plain = products(CPU, "highest")
    assert all(1e-9 < error < 1e-6 for error in errors(plain))
    off = [answer * 1.01 for answer in plain]
    assert errors(off) == pytest.approx([0.01] * len(off), rel=1e-3)


@pytest.mark.parametrize("mode", ["highest", "high", "medium", None])
def test_the_mode_is_put_back(mode: Mode | None) -> None:
    torch.set_float32_matmul_precision("high")
    with pytest.raises(KeyError):
        _lost_in(mode)
    assert torch.get_float32_matmul_precision() == "high"


def _lost_in(mode: Mode | None) -> None:
    with multiplying(mode):
        assert torch.get_float32_matmul_precision() == (mode or "high")
        raise KeyError


@pytest.mark.parametrize(("mode", "lines"), [(None, 0), ("highest", 0), ("high", 1), ("medium", 1)])
def test_only_another_mode_than_the_usual_is_told(mode: Mode | None, lines: int) -> None:
    told = said(mode)
    assert len(told) == lines
    assert all(f"'{mode}'" in line for line in told)


@pytest.mark.parametrize(("precision", "mode"), [("fp32", "high"), ("bf16", "highest")])
def test_a_run_in_float32_uses_it_tells_it_and_puts_it_back(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, precision: str, mode: str
) -> None:
    """A run in another precision leaves what is set."""
    pretend(monkeypatch, {"medium": "bf16", "high": "reordered"})
    torch.set_float32_matmul_precision("highest")
    told = list[str]()
    out = train(replace(tiny(tmp_path / "run", data, steps=1), precision=precision), say=told.append)
    (start,) = (record for record in read_records(out / "metrics.jsonl") if record["kind"] == "start")
    assert start["float32_matmul"] == mode
    assert any("'high'" in line for line in told) == (precision == "fp32")
    assert torch.get_float32_matmul_precision() == "highest"
