"""How hard a run works its machine: the measured peak, the share of it, and memory."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sightword.training import effort, peak
from sightword.training.effort import EffortMeter, memory
from sightword.training.peak import gemm_peak

CPU, MIB = torch.device("cpu"), 2**20


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_known", {})


class Machine:
    """A machine with a clock of its own, which multiplies at a known rate, now and then disturbed."""

    def __init__(self, rate: float, disturbed: Callable[[int], float] = lambda number: 1.0) -> None:
        self.rate, self.disturbed, self.now, self.products = rate, disturbed, 0.0, 0

    def perf_counter(self) -> float:
        return self.now

    def seconds(self, product: Callable[[], Tensor]) -> float:
        rows, after = product().shape
        before = {(s[0], s[2]): s[1] for s in peak.SHAPES}[rows, after]
        taken = 2.0 * rows * before * after / self.rate * self.disturbed(self.products)
        self.products += 1
        self.now += taken
        return taken

    def put_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(peak.time, "perf_counter", self.perf_counter)
        monkeypatch.setattr(peak, "_seconds", self.seconds)


def test_the_peak_is_measured_without_a_trace() -> None:
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    found = {precision: gemm_peak(CPU, precision) for precision in ("fp32", "bf16")}
    assert all(1e8 < flops < 1e15 for flops in found.values())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_disturbed_machine_shows_its_peak_in_the_best_product(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(1e12, lambda number: 1.0 if number == 7 else 2.5)
    machine.put_in(monkeypatch)
    assert gemm_peak(CPU, "bf16") == pytest.approx(1e12)
    assert machine.now < peak.SECONDS * 1.5


def test_a_slow_machine_is_not_kept_long(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(2e9)
    machine.put_in(monkeypatch)
    assert gemm_peak(CPU, "fp32") == pytest.approx(2e9)
    assert machine.now < 0.5


def test_it_is_measured_once_for_each_kind_and_again_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    rates, asked = iter([3.0, 5.0, 4.0, 9.0]), []

    def measured(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
        asked.append((dtype, seconds))
        return next(rates)

    monkeypatch.setattr(peak, "_measured", measured)
    assert [gemm_peak(CPU, "fp32"), gemm_peak(CPU, "fp32")] == [3.0, 3.0]
    assert gemm_peak(CPU, "bf16") == 5.0
    assert gemm_peak(CPU, "fp32", again=True) == 4.0
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert gemm_peak(CPU, "fp32") == 9.0
    kinds = [torch.float32, torch.bfloat16, torch.float32, torch.float32]
    limits = [peak.SECONDS, peak.SECONDS, peak.SECONDS_AGAIN, peak.SECONDS]
    assert asked == list(zip(kinds, limits, strict=True))


class Measured:
    """Stands in for the measuring: gives these peaks one after the other, the last for ever."""

    def __init__(self, *peaks: float) -> None:
        self.peaks, self.best, self.times = list(peaks), 0.0, 0

    def __call__(self, device: torch.device, precision: str, again: bool = False) -> float:
        self.times += 1
        self.best = max(self.best, self.peaks.pop(0) if len(self.peaks) > 1 else self.peaks[0])
        return self.best


def test_a_share_of_the_peak_is_never_above_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peak that was measured too low is measured again, and what was reached is not doubted."""
    measured = Measured(100.0, 250.0, 120.0)
    monkeypatch.setattr(effort, "gemm_peak", measured)
    meter = EffortMeter(CPU, "fp32")
    assert (meter.peak, meter.peak, measured.times) == (100.0, 100.0, 1)
    first, second, third, fourth = (meter.read(reached) for reached in (50.0, 200.0, 300.0, 150.0))
    assert (first.mfu, first.peak) == (0.5, 100.0)
    assert (second.mfu, second.peak) == (0.8, 250.0)
    assert (third.mfu, third.peak) == (1.0, 300.0)
    assert (fourth.mfu, fourth.peak) == (0.5, 300.0)
    assert measured.times == 3


def test_the_peak_is_looked_at_again_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(100.0)
    monkeypatch.setattr(effort, "gemm_peak", measured)
    meter = EffortMeter(CPU, "bf16")
    times = []
    for _ in range(200):
        meter.read(60.0)
        times.append(measured.times)
    assert [number for number in range(1, 200) if times[number] > times[number - 1]] == [9, 39, 159]


def test_processes_of_a_step_add_up_their_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an answer of a second process that is slower by a hair and has more memory."""
    others = {float: 50.0, tuple: (39.0, {"memory_mib": 7.0})}
    monkeypatch.setattr(effort.ranks, "gathered", lambda own: [own, others[type(own)]])
    monkeypatch.setattr(effort, "gemm_peak", Measured(30.0))
    monkeypatch.setattr(effort, "memory", lambda device: {"memory_mib": 4.0})
    found = EffortMeter(CPU, "fp32").read(40.0)
    assert (found.mfu, found.peak, found.memory) == (0.5, 80.0, {"memory_mib": 7.0})


def test_memory_of_a_processor_is_the_largest_resident_set() -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("this system does not tell what is resident now")
    resident = next(int(x.split()[1]) / 1024 for x in status.read_text().splitlines() if "VmRSS" in x)
    before = memory(CPU)["memory_mib"]
    more = int((before - resident + 64) * MIB)
    with mmap.mmap(-1, more) as block:  # not by malloc, which may have enough that is resident already
        for page in range(0, more, mmap.PAGESIZE):
            block[page] = 1
    after = memory(CPU)["memory_mib"]
    assert before + 32 < after < before + 128
    assert memory(CPU)["memory_mib"] == after  # the largest, although it was given back


def test_memory_of_a_gpu_is_that_since_the_last_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    device, restarted = torch.device("cuda:0"), []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda which: 3 * MIB)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda which: 4 * MIB)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", restarted.append)
    monkeypatch.setattr(effort, "gemm_peak", Measured(4e12))
    found = EffortMeter(device, "bf16").read(1e12)
    assert found.fields() == {
        "mfu": 0.25,
        "gemm_peak_tflops": 4.0,
        "memory_mib": 3.0,
        "memory_reserved_mib": 4.0,
    }
    assert restarted == [device]


def test_a_gpu_is_timed_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for CUDA's events, whose clock counts products."""
    done: list[int] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.at = len(done)

        def synchronize(self) -> None:
            pass

        def elapsed_time(self, other: Event) -> float:
            return 2.0 * (other.at - self.at)  # milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)

    def product() -> Tensor:
        done.append(1)
        return torch.zeros(1)

    assert peak._seconds_by_events(product) == pytest.approx(2e-3)
    assert len(done) > peak._IN_A_ROW  # some before the clock starts
