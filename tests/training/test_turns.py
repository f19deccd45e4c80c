from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.queues import Queue
from typing import Any

import pytest

from sightword.training.turns import take_long_turns


def asked(nice: int, found: Queue[Any]) -> None:
    os.nice(nice)
    found.put((take_long_turns(), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")
def test_priority_and_policy_stay() -> None:
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    before = os.getpriority(os.PRIO_PROCESS, 0)
    child = context.Process(target=asked, args=(3, found))
    child.start()
    could, nice, policy = found.get(timeout=60)
    child.join()
    assert could in (True, False)  # an old kernel or a sandbox may refuse
    assert (nice, policy) == (min(19, before + 3), os.SCHED_OTHER)
