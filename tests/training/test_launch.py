"""Several runs at once: all are run, failures are named and stop nobody else, a job can wait for others."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.training.launch import Launcher


def work(config: Config) -> None:
    """Stands in for a run: notes its process, its threads and when it ran."""
    out = Path(config.out)
    if config.objective == "fails":
        raise SightwordError("the disk is full")
    if config.objective == "dies":
        os._exit(9)
    (out / "began").write_text(str(time.time()))
    time.sleep(3.0)
    print("a line for the log", file=sys.stderr)
    (out / "ended").write_text(f"{time.time()} {os.getpid()} {os.environ['OMP_NUM_THREADS']}")


def job(out: Path, objective: str = "clip") -> Config:
    return replace(Config(), out=str(out), objective=objective)


def test_runs_side_by_side_each_in_its_own_process(tmp_path: Path) -> None:
    Launcher(work, slots=2).run([lambda: job(tmp_path / "a"), lambda: job(tmp_path / "b")])
    ended = [(tmp_path / n / "ended").read_text().split() for n in "ab"]
    assert len({e[1] for e in ended} | {str(os.getpid())}) == 3
    assert {e[2] for e in ended} == {"1"}
    assert "a line for the log" in (tmp_path / "a" / "log.txt").read_text()


def test_no_more_at_once_than_slots(tmp_path: Path) -> None:
    Launcher(work, slots=1).run([lambda: job(tmp_path / "a"), lambda: job(tmp_path / "b")])
    first_end = float((tmp_path / "a" / "ended").read_text().split()[0])
    assert float((tmp_path / "b" / "began").read_text()) > first_end


def test_a_job_waits_for_what_it_needs(tmp_path: Path) -> None:
    def later() -> Config | None:
        return job(tmp_path / "b") if (tmp_path / "a" / "ended").exists() else None

    Launcher(work, slots=2).run([later, lambda: job(tmp_path / "a")])
    assert (tmp_path / "b" / "ended").exists()


def test_failures_are_named_and_stop_nobody(tmp_path: Path) -> None:
    jobs = [
        lambda: job(tmp_path / "a", "fails"),
        lambda: job(tmp_path / "b"),
        lambda: job(tmp_path / "c", "dies"),
    ]
    with pytest.raises(SightwordError, match=r"2 of 3 runs failed.*the disk is full"):
        Launcher(work, slots=2).run(jobs)
    assert (tmp_path / "b" / "ended").exists()


def test_a_job_that_can_never_start_is_said(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="wait for what never came"):
        Launcher(work, slots=2).run([lambda: None])
