"""Work that threads share."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from sightword.towers.native.library import current, shared

pytestmark = pytest.mark.skipif(current() is None, reason="the kernels are not built here")
_WORK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Nothing(ctypes.Structure):
    """What Python's functions work on: they know it themselves."""

    _fields_ = ()


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def _share(work: Callable[[int, int], int | None], parts: int, most: int) -> None:
    """With a Python function in the place of a compiled one."""
    shared(_WORK(lambda _, first, last: work(first, last) or 0), Nothing(), parts, most)


@pytest.mark.parametrize(("parts", "most", "pieces"), [(7, 9, 3), (2, 9, 2), (7, 2, 2), (7, 1, 1), (1, 9, 1)])
@pytest.mark.parametrize("idle", [0, 0.002])  # seconds: helpers wait awake, or sleep
def test_every_part_is_done_once(parts: int, most: int, pieces: int, idle: float) -> None:
    for _ in range(30):
        done, by = list[int](), set[int]()

        def work(first: int, last: int, done: list[int] = done, by: set[int] = by) -> None:
            done.extend(range(first, last))
            by.add(threading.get_native_id())

        _share(work, parts, most)
        assert sorted(done) == list(range(parts))
        assert len(by) == pieces
        time.sleep(idle)


@pytest.mark.parametrize("bad", [0, 3, 6])
def test_an_error_in_any_thread_is_told_and_the_next_work_is_done(bad: int) -> None:
    for _ in range(3):
        with pytest.raises(MemoryError, match="no memory"):
            _share(lambda first, last: -1 if first <= bad < last else 0, 7, 9)
        assert _sum_of_parts() == 36


def test_who_takes_long_is_waited_for() -> None:
    done = list[int]()

    def slow(first: int, last: int) -> None:
        time.sleep(0.01 * first)
        done.extend(range(first, last))

    _share(slow, 9, 9)
    assert sorted(done) == list(range(9))


def _sum_of_parts() -> int:
    done = list[int]()
    _share(lambda first, last: done.extend(range(first, last)), 9, 9)
    return sum(done)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted as Linux does")
def test_several_threads_and_a_fork_have_helpers_of_their_own() -> None:
    assert _sum_of_parts() == 36
    before, answers, most = _threads(), list[int](), list[int]()

    def one_of_several() -> None:
        answers.append(_sum_of_parts())
        most.append(_threads())

    several = [threading.Thread(target=one_of_several) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert answers == [36] * 4
    assert max(most) >= before + 3
    until = time.monotonic() + 30
    while _threads() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert _threads() == before  # theirs end with them
    child = multiprocessing.get_context("fork").Process(target=_in_a_fork)
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0


def _in_a_fork() -> None:
    assert _sum_of_parts() == 36
    assert _threads() == 3
