"""A hang is told once, in one line that names rank, host, step and place; what may take long is let be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch.distributed as dist

from sightword.errors import SightwordError
from sightword.training.together import watchdog
from sightword.training.together.board import Board, Unreachable
from sightword.training.together.lost import Lost
from sightword.training.together.rollcall import RollCall
from sightword.training.together.watchdog import HANG, PATIENT, Watchdog, collectives_timeout, last_hang

LIMIT = 0.01  # minutes: 0.6 s
PATIENCE = 60.0  # seconds for a thread to do something, on a busy machine
Ended = list[int]
Make = Callable[..., tuple[Watchdog, Ended]]


def until(told: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not told():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def server() -> dist.TCPStore:
    return dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)


@pytest.fixture
def make(server: dist.TCPStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Make]:
    """Watchdogs of several ranks in this process; they note how they would have ended it."""
    with ExitStack() as stack:

        def one(rank: int = 0, world: int = 1, minutes: float = LIMIT) -> tuple[Watchdog, Ended]:
            ended: Ended = []
            monkeypatch.setattr(watchdog.distributed, "rank", lambda: rank)
            monkeypatch.setattr(watchdog.distributed, "world_size", lambda: world)
            board = Board("localhost", server.port, 1.0)
            made = Watchdog(minutes, tmp_path, board, ended.append)
            return stack.enter_context(made), ended

        yield one


def hang(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "hang.json").read_text())
    return found


def test_the_rank_that_is_behind_is_told_by_one_and_all_end(
    make: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ranks = [make(rank, 3) for rank in range(3)]
    for step in range(4):
        for rank, (dog, _) in enumerate(ranks):
            if rank != 1 or step < 3:
                dog.beat(step, "reading")
    until(lambda: all(ended for _, ended in ranks))
    assert [ended for _, ended in ranks] == [[HANG]] * 3
    said = [line for line in capfd.readouterr().err.splitlines() if line]
    (told,) = [line for line in said if "has stood" in line]
    assert told.startswith("sightword: hang: rank 1 on ")
    assert "at step 2, reading, in " in told
    assert "2 others wait at step 3, reading, in " in told
    assert (
        f"every rank's stack is in {tmp_path}/hang.json; torchrun starts it again if --max-restarts" in told
    )
    assert sum("ends as well: another rank has said why" in line for line in said) == 2
    table = hang(tmp_path)
    assert table["blamed"] == [1]
    assert table["world_size"] == 3
    assert [row["step"] for row in table["ranks"]] == [3, 2, 3]  # type: ignore[attr-defined]
    for row in table["ranks"]:  # type: ignore[attr-defined]
        assert any("test_the_rank_that_is_behind" in frame for frame in row["stack"])
    summary = last_hang(tmp_path)
    assert summary is not None
    assert summary == {name: table[name] for name in summary}
    assert "sightword: " + f"hang: {summary['said']}" == told


def test_a_rank_that_falls_silent_and_one_that_never_came(
    make: Make, tmp_path: Path, server: dist.TCPStore
) -> None:
    first, ended = make(0, 3)
    first.beat(7)
    until(lambda: ended)
    assert hang(tmp_path)["blamed"] == [1, 2]
    again, ended = make(0, 3, minutes=4 / 60)  # the jolts of a busy machine, a second, are not silence
    for rank in (1, 2):  # they tell once, and no more: their host is gone
        RollCall(Board("localhost", server.port, 1.0), rank, 3).tell(_standing_of(again, rank))
    until(lambda: ended)
    assert hang(tmp_path)["blamed"] == [1, 2]
    assert "is cut off, dead or stopped: not heard of for" in str(hang(tmp_path)["said"])


def _standing_of(dog: Watchdog, rank: int) -> watchdog.Standing:
    return watchdog.Standing(**{**vars(dog._standing()), "rank": rank, "host": "node-b"})


def test_a_rank_that_left_has_last_words(make: Make, tmp_path: Path) -> None:
    (first, ended), (second, _) = make(0, 2), make(1, 2)
    second.beat(4)
    error = SightwordError("the disk is full")
    second.__exit__(SightwordError, error, None)
    until(lambda: ended)
    assert hang(tmp_path)["blamed"] == [1]
    assert "rank 1 on " in first.last_words()
    assert first.last_words().endswith("left at step 4 (SightwordError: the disk is full)")
    second.__exit__(Lost, Lost("rank 1 lost the others"), None)
    assert first.last_words() == ""


def test_a_store_that_cannot_be_reached_is_said(
    make: Make, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    dog, ended = make(1, 2)
    board = dog._call.board
    assert board is not None
    dog._call.board = Board("localhost", 1, 1.0)  # nobody listens there
    until(lambda: ended)
    said = capfd.readouterr().err
    assert "rank 1 on " in said
    assert "localhost:1, on rank 0's host, has not answered for" in said
    assert "that host is dead or cannot be reached from here" in said
    assert not (tmp_path / "hang.json").exists()
    with pytest.raises(Unreachable):
        Board("localhost", 1, 0.2).read(["at/0"])


def test_what_is_announced_may_take_long_and_beats_keep_it_quiet(make: Make, tmp_path: Path) -> None:
    limit = 1.5  # seconds: a busy machine may hold up this process for one between two beats
    (first, ended), (second, too) = make(0, 2, limit / 60), make(1, 2, limit / 60)
    began = time.monotonic()
    for step in range(40):  # for twice the limit
        began = time.monotonic()
        first.beat(step)
        second.beat(step)
        time.sleep(limit / 20)
    assert ended == too == []
    with first.pausing("saving"):  # the second waits for it, and is not paused itself
        until(lambda: ended and too)
    assert time.monotonic() - began >= PATIENT * limit
    table = hang(tmp_path)
    assert table["blamed"] == [0]
    assert ", saving, in" in str(table["said"])


def test_a_machine_that_was_suspended_finds_nobody_silent(make: Make) -> None:
    """Its others stood still as well: by how long it overslept, their news are younger."""
    dog, ended = make(0, 2, minutes=10.0)
    dog._stop.set()
    dog._thread.join()
    dog._stop.clear()
    dog._call.tell(dog._standing())
    dog._tick = -600.0  # as if the look that was due after no time came after ten minutes
    dog._wait()
    assert ended == []
    assert dog._seconds < 0
    assert dog._call.heard[0].silent < 0


def test_alone_a_pause_is_only_told(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    dog, ended = make()
    said = ""
    with dog.pausing("scoring"):
        until(lambda: "warning" in capfd.readouterr().err)
        assert ended == []
    until(lambda: ended)
    said += capfd.readouterr().err
    assert "hang: rank 0 on" in said
    assert "torchrun" not in said
    assert "go on with: sightword train --resume" in said


def test_zero_minutes_watch_nothing(make: Make) -> None:
    dog, ended = make(0, 2, minutes=0.0)
    dog.beat(3)
    assert dog.last_words() == ""
    assert not dog._thread.is_alive()
    assert ended == []
    assert collectives_timeout(0.0) is None
    patience = collectives_timeout(10.0)
    assert patience is not None
    assert patience.total_seconds() > 60 * 10 * PATIENT


def test_no_hang_no_record(tmp_path: Path) -> None:
    assert last_hang(tmp_path) is None
    (tmp_path / "hang.json").write_text("{")
    assert last_hang(tmp_path) is None


ALONE = """
import sys, threading
from pathlib import Path
from sightword.training.together.watchdog import Watchdog
with Watchdog(0.02, Path(sys.argv[1])) as dog:
    dog.beat(0)
    print("ready", flush=True)
    sys.stdin.readline()
    dog.beat(1)
    print("still here", flush=True)
    lock = threading.Lock()
    lock.acquire()
    def for_ever(): lock.acquire()
    for_ever()
"""


def test_a_process_that_was_stopped_goes_on_and_one_that_hangs_ends(tmp_path: Path) -> None:
    """Ctrl-Z for twice the limit, then a real hang with the main thread in C."""
    process = subprocess.Popen(
        [sys.executable, "-c", ALONE, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(3.0)
    os.kill(process.pid, signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    out, err = process.communicate(timeout=PATIENCE)
    assert out == "still here\n"
    assert process.returncode == HANG, err
    assert "at step 1 in <string>:13 (for_ever)" in err
    assert "for_ever" in hang(tmp_path)["ranks"][0]["stack"][-1]  # type: ignore[index]
