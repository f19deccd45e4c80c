"""A prediction against what the kernel says of a real process: a small case of bench/plan.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location("bench_plan", BENCH / "plan.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_plan", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read where Linux tells it")
def test_memory_and_flops_of_a_step_in_chunks(bench: ModuleType) -> None:
    row = bench.compared(bench.Case("clip", 128, chunk=64), bench.small_model(), "cpu")
    assert row["memory_measured"] > 300e6
    assert abs(row["memory_off"]) < bench.LIMIT
    assert abs(row["flops_off"]) < bench.LIMIT
