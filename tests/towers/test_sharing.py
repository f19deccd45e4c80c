"""Work that threads share."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from sightword.towers.native.library import current, shared

pytestmark = pytest.mark.skipif(current() is None, reason="the kernels are not built here")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("parts", "most", "pieces"), [(7, 9, 3), (2, 9, 2), (7, 2, 2), (7, 1, 1), (1, 9, 1)])
def test_every_part_is_done_once(parts: int, most: int, pieces: int) -> None:
    for _ in range(50):
        done, by = list[int](), set[int]()

        def work(first: int, last: int, done: list[int] = done, by: set[int] = by) -> None:
            done.extend(range(first, last))
            by.add(threading.get_ident())

        shared(work, parts, most)
        assert sorted(done) == list(range(parts))
        assert len(by) == pieces


@pytest.mark.parametrize("bad", [0, 3, 6])
def test_an_error_in_any_thread_is_told_and_the_next_work_is_done(bad: int) -> None:
    def work(first: int, last: int) -> None:
        if first <= bad < last:
            raise MemoryError(str(bad))

    for _ in range(3):
        with pytest.raises(MemoryError, match=str(bad)):
            shared(work, 7, 9)
        assert _sum_of_parts() == 36


def _sum_of_parts() -> int:
    done = list[int]()
    shared(lambda first, last: done.extend(range(first, last)), 9, 9)
    return sum(done)


def _helpers() -> int:
    return sum(thread.name == "towers" for thread in threading.enumerate())


def test_several_threads_and_a_fork_have_helpers_of_their_own() -> None:
    assert _sum_of_parts() == 36
    before = _helpers()
    answers = list[int]()
    several = [threading.Thread(target=lambda: answers.append(_sum_of_parts())) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert answers == [36] * 4
    until = time.monotonic() + 30
    while _helpers() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert _helpers() == before  # theirs end with them
    child = multiprocessing.get_context("fork").Process(target=_sum_of_parts)
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
