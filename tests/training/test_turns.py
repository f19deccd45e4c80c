from __future__ import annotations

import multiprocessing
import os
import platform
import sys
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest

from sightword.training.turns import take_long_turns


def asked(nice: int, found: Queue[Any]) -> None:
    os.nice(nice)
    could = take_long_turns()
    slices = [line.split()[-1] for line in scheduled() if line.startswith("se.slice ")]
    found.put((could, os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), slices))


def scheduled() -> list[str]:
    """What Linux tells of this thread; nothing where it was built without."""
    file = Path("/proc/self/sched")
    return file.read_text().splitlines() if file.is_file() else []


def kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in platform.release().split("-")[0].split(".")[:2])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")
def test_priority_and_policy_stay() -> None:
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    before = os.getpriority(os.PRIO_PROCESS, 0)
    child = context.Process(target=asked, args=(3, found))
    child.start()
    could, nice, policy, slices = found.get(timeout=60)
    child.join()
    if could and slices and kernel() >= (6, 12):  # older ones do not heed it, a sandbox may refuse
        assert slices == ["20000000"]
    assert (nice, policy) == (min(19, before + 3), os.SCHED_OTHER)
