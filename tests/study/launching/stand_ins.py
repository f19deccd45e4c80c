"""What stands in for the work of a run, in processes of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sightword.config import Config
from sightword.errors import SightwordError

LONG = 120.0  # seconds that nothing takes unless it hangs


def job(out: Path, objective: str = "clip") -> Config:
    return replace(Config(), out=str(out), objective=objective, device="cpu")


def quick(config: Config) -> None:
    """Notes where it ran, fails, or dies."""
    out = Path(config.out)
    if config.objective == "fails":
        raise SightwordError("the disk is full")
    if config.objective == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES") or "-"
    (out / "ended").write_text(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']} {seen} {os.getcwd()}")
    if config.objective == "waits":
        until(lambda: len(list(out.parent.glob("*/ended"))) == len(list(out.parent.iterdir())))


def patient(config: Config) -> None:
    """Counts in `count`, from where it left off, until `enough` lies there; saves when asked to."""
    out, asked = Path(config.out), list[int]()
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    start = int((out / "count").read_text()) if (out / "count").exists() else 0
    with (out / "begun").open("a") as file:
        file.write(f"{start} {os.getppid()}\n")
    until(lambda: bool(asked) or (out / "enough").exists())
    (out / "count").write_text(str(start + 1))
    if asked:
        raise SightwordError("asked to stop")


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not there():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def begun(out: Path, times: int) -> Callable[[], bool]:
    """Whether `patient` has begun so many times."""
    return lambda: (out / "begun").exists() and len((out / "begun").read_text().splitlines()) >= times
