"""The same results from one process and from several, in whatever order; a dead one is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sightword.corpora.parallel import Tick, Watch, in_processes, processors
from sightword.errors import SightwordError


def squared(context: int, job: int, tick: Tick) -> tuple[int, int]:
    tick(1)
    return job, context * job**2


def dying(context: int, job: int, tick: Tick) -> int:
    if job == context:
        os._exit(1)
    return job


def failing(context: int, job: int, tick: Tick) -> int:
    raise SightwordError(f"job {job}")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_once(workers: int) -> None:
    watch = Watch("squares", 40)
    found = list(in_processes(squared, 3, range(40), workers, watch))
    assert sorted(found) == [(job, 3 * job**2) for job in range(40)]


INTERRUPTED = """
import signal, sys, time
from sightword.corpora.parallel import Watch, in_processes

signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background it is ignored

def slow(context, job, tick):
    print("begun", flush=True)
    for _ in range(600):
        time.sleep(0.1)
        tick(1)

if __name__ == "__main__":
    try:
        list(in_processes(slow, 0, range(4), 2, Watch("slow", 4)))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_ctrl_c_ends_all_processes_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "interrupted.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    for _ in range(2):  # both have begun: before that they may be anywhere in their imports
        process.stdout.readline()
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert time.monotonic() - began < 20
    assert b"Traceback" not in said


def test_no_jobs_give_nothing() -> None:
    assert not list(in_processes(squared, 3, [], 2, Watch("squares", 0)))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_through(workers: int) -> None:
    with pytest.raises(SightwordError, match="job 0"):
        list(in_processes(failing, 0, range(1), workers, Watch("none", 1)))


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(SightwordError, match="worker process died"):
        list(in_processes(dying, 3, range(9), 2, Watch("none", 9)))


def test_without_a_terminal_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr("sightword.corpora.parallel.time.monotonic", lambda: next(times))
    watch = Watch("packing", 100, done=20)
    for _ in range(4):
        watch.add(10)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "packing: 40/100, 20 s, eta 60 s",  # 20 done in 20 s, 60 to go
        "packing: 60/100, 40 s, eta 40 s",
    ]


def test_workers_are_counted() -> None:
    assert processors(3) == 3
    assert processors(0) >= 1
    with pytest.raises(SightwordError, match="--workers"):
        processors(-1)
