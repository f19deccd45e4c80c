"""Processes of one start find each other in a store where earlier starts have left everything."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import processes
import pytest
from torch.distributed import PrefixStore, Store, TCPStore

from sightword.errors import SightwordError
from sightword.training.together import meeting

SHORT = timedelta(seconds=60)
# Every rank but 0 takes its time, so that it would find addresses of the dead; rank 1 ends the first start.
PROGRAM = """
import datetime, os, time
import torch, torch.distributed as dist
from sightword.training.together.meeting import meet
rank, again = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
time.sleep(0.3 * rank)
patience = datetime.timedelta(seconds=60)
dist.init_process_group("gloo", store=meet(patience), rank=rank, world_size=3, timeout=patience)
total = torch.ones(1)
dist.all_reduce(total)
if rank == 1 and again < 1:
    os._exit(9)
if again < 1:
    time.sleep(60)
os.write(1, f"rank {rank} of start {again}: {int(total)}\\n".encode())
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_restarted_processes_find_each_other_and_not_the_dead(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "3", "--max-restarts", "1"]
    where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--monitor-interval", "0.1"]
    done = subprocess.run(
        [*launch, *where, str(tmp_path / "program.py")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"rank {rank} of start 1: 3" for rank in range(3)]


def comes(rank: int, port: int, folder: str) -> None:
    """A process of a start of two that torchrun's agent serves no store for."""
    where = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    os.environ.update(where, TORCHELASTIC_USE_AGENT_STORE="False")
    store = meeting.meet(SHORT)
    store.set(f"is {rank}", f"{rank} of two")
    found = [store.get(f"is {other}").decode() for other in range(2)]
    (Path(folder) / f"{rank}.txt").write_text(" and ".join(found))
    store.add("gone", 1)
    while rank == 0 and store.add("gone", 0) < 2:  # who serves the store leaves last
        pass


def test_without_torchruns_store_the_first_process_serves_one(tmp_path: Path) -> None:
    free = TCPStore("localhost", 0, is_master=True, wait_for_workers=False).port
    processes.start(comes, (free, str(tmp_path)), 2)
    for rank in range(2):
        assert (tmp_path / f"{rank}.txt").read_text() == "0 of two and 1 of two"


def test_two_starts_in_one_store_do_not_meet() -> None:
    server = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)

    def come(rank: int) -> Store:
        client = TCPStore("localhost", server.port, is_master=False, wait_for_workers=False)
        return meeting.agree(client, rank, 5, SHORT)

    words = []
    for start in ("first", "second"):
        with ThreadPoolExecutor(5) as threads:
            stores = list(threads.map(come, range(5)))
        assert not any(store.check(["word"]) for store in stores)
        stores[3].set("word", start)
        words.append([store.get("word").decode() for store in stores])
    assert words == [["first"] * 5, ["second"] * 5]


def talk(store: TCPStore) -> Store:
    return PrefixStore("sightword/meeting", store)


def test_a_greeting_that_the_dead_left_keeps_nobody_from_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    server = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    stale = uuid.uuid4().hex
    talk(server).set("hello/1", stale)
    where = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(server.port)}
    for name, value in {**where, "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
        monkeypatch.setenv(name, value)
    met: list[Store] = []
    first = threading.Thread(target=lambda: met.append(meeting.meet(SHORT)))
    first.start()
    answered = talk(server).get(f"answer/{stale}")  # the first process takes it for a greeting of this start
    assert not met
    fresh = uuid.uuid4().hex
    talk(server).set("hello/1", fresh)
    name = talk(server).get(f"answer/{fresh}")
    assert name == answered
    talk(server).set(f"came/{name.decode()}/1", "")
    first.join(60)
    met[0].set("word", "heard")
    assert PrefixStore(f"sightword/meeting/{name.decode()}", server).get("word") == b"heard"


def test_who_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    server = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    where = {"WORLD_SIZE": "12", "MASTER_ADDR": "localhost", "MASTER_PORT": str(server.port)}
    for name, value in {**where, "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SightwordError, match=r"11 of 12 processes .* rank 1, 2, 3, 4, 5, 6, 7, 8 and 3 more"):
        meeting.meet(timedelta(seconds=0.2))
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(SightwordError, match="rank 4 got no answer of rank 0 within 0:00:01"):
        meeting.meet(timedelta(seconds=1))
    monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(SightwordError, match="rank 4 cannot reach localhost:1"):
        meeting.meet(timedelta(seconds=1))
