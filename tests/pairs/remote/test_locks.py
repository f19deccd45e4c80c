from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from sightword.pairs.remote.locks import if_free, locked


def _count_up(place: Path, times: int) -> None:
    for _ in range(times):
        with locked(place / "lock", 60.0):
            number = int((place / "number").read_text())
            time.sleep(0.001)
            (place / "number").write_text(str(number + 1))


def test_processes_and_threads_take_turns(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count_up, args=(tmp_path, 5)) for _ in range(2)]
    workers += [threading.Thread(target=_count_up, args=(tmp_path, 5)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert (tmp_path / "number").read_text() == "20"


def _hold(place: Path, seconds: float) -> None:
    with locked(place, 1.0):
        (place.parent / "held").touch()
        time.sleep(seconds)


def test_a_lock_goes_with_its_holder(tmp_path: Path) -> None:
    holder = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path / "lock", 60.0))
    holder.start()
    end = time.monotonic() + 20
    while not (tmp_path / "held").exists():
        assert holder.is_alive()
        assert time.monotonic() < end
        time.sleep(0.01)
    with if_free(tmp_path / "lock") as free:
        assert not free
    holder.kill()
    holder.join()
    with if_free(tmp_path / "lock") as free:
        assert free


def test_a_process_forked_meanwhile_does_not_keep_it(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", 1.0):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
    try:
        with if_free(tmp_path / "lock") as free:
            assert free
    finally:
        child.kill()
        child.join()


def test_who_stands_still_is_not_waited_for_and_who_moves_is(tmp_path: Path) -> None:
    with locked(tmp_path / "new folder" / "lock", 1.0):
        with pytest.raises(TimeoutError), locked(tmp_path / "new folder" / "lock", 0.1):
            pass
        released = threading.Timer(0.5, lambda: None)
        released.start()
        steps = iter(range(1000))
        begun = time.monotonic()
        with (
            pytest.raises(TimeoutError),
            locked(
                tmp_path / "new folder" / "lock", 0.1, lambda: next(steps) if released.is_alive() else None
            ),
        ):
            pass
        assert time.monotonic() - begun > 0.5
