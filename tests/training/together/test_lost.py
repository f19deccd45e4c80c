"""What torch says when another process has gone, from torch itself, becomes one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from sightword.errors import SightwordError
from sightword.training.together import parallel
from sightword.training.together.lost import Lost, lost


@pytest.fixture
def pair() -> Iterator[list[dist.ProcessGroupGloo]]:
    """Two ranks of gloo in two threads."""
    store = dist.HashStore()

    def join(rank: int) -> dist.ProcessGroupGloo:
        return dist.ProcessGroupGloo(store, rank, 2, timedelta(seconds=1))

    with ThreadPoolExecutor(2) as threads:
        yield list(threads.map(join, range(2)))


def summed(group: dist.ProcessGroupGloo) -> RuntimeError:
    with pytest.raises(RuntimeError) as met:
        group.allreduce(torch.ones(3)).wait()
    return met.value


def test_a_process_that_hangs_and_every_collective_after_it(pair: list[dist.ProcessGroupGloo]) -> None:
    first, second = lost(summed(pair[0]), 118), lost(summed(pair[0]), 119)
    assert isinstance(first, Lost)
    assert str(first).startswith(
        "rank 0 of 1 lost the others at step 118: another process does not answer: it hangs, has ended or is"
        " cut off ("
    )
    assert "Timed out waiting 1000ms for" in str(first)
    assert str(first).endswith(
        "; its own message tells why; torchrun starts all of them again if --max-restarts allows, or go on"
        " with sightword train --resume RUN"
    )
    assert isinstance(second, Lost)
    assert "\n" not in str(second)


def test_a_process_that_has_ended(pair: list[dist.ProcessGroupGloo]) -> None:
    waits = ThreadPoolExecutor(1).submit(summed, pair[0])
    del pair[1]
    told = lost(waits.result(30), 5, last_words="rank 1 on node-b left at step 5 (SightwordError: disk full)")
    assert isinstance(told, Lost)
    assert "another process has ended (" in str(told)
    assert "GLHF" not in str(told)
    assert "rank 1 on node-b left at step 5 (SightwordError: disk full); torchrun" in str(told)


def test_processes_that_never_meet() -> None:
    store = dist.HashStore()
    store.set("0/rank_1", b"nobody")
    with pytest.raises(RuntimeError) as met:
        dist.ProcessGroupGloo(store, 0, 2, timedelta(seconds=0.3))
    assert isinstance(lost(met.value, 0), Lost)


def test_a_store_that_is_gone() -> None:
    server = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    client = dist.TCPStore("localhost", server.port, is_master=False, timeout=timedelta(seconds=1))
    with pytest.raises(dist.DistStoreError) as late:
        client.get("never")
    assert "does not answer" in str(lost(late.value, 1))
    del server
    with pytest.raises(dist.DistNetworkError) as gone:
        client.get("never")
    assert "has ended" in str(lost(gone.value, 1))


def test_also_as_the_cause_of_another_error(pair: list[dist.ProcessGroupGloo]) -> None:
    error = RuntimeError("backward failed")
    error.__cause__ = summed(pair[0])
    told = lost(error, 1)
    assert isinstance(told, Lost)
    assert lost(told, 7) is told


def test_what_is_no_loss() -> None:
    for error in (
        RuntimeError("CUDA out of memory"), SightwordError("the disk is full"), KeyboardInterrupt(),
        TimeoutError("timed out"), ConnectionResetError("Connection reset by peer"),
    ):  # fmt: skip
        assert lost(error, 1) is None


@pytest.mark.parametrize(
    ("words", "ours"), [("gloo/transport/tcp/pair.cc:553] Connection closed by peer", True), ("a bug", False)]
)
def test_also_before_the_loop(monkeypatch: pytest.MonkeyPatch, words: str, ours: bool) -> None:
    """While a run is begun, processes wait for each other too."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(parallel, "_join", lambda patience: (1, 2))
    monkeypatch.setattr(parallel.dist, "destroy_process_group", lambda: None)
    wanted, said = (
        (Lost, "lost the others before its first step: another process has ended")
        if ours
        else (RuntimeError, "^a bug$")
    )
    with pytest.raises(wanted, match=said), parallel.together(1.0):
        raise RuntimeError(words)
