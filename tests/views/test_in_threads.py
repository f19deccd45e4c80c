from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sightword.views.in_threads import SHORT, mapped


def test_long_work_is_shared_and_keeps_its_order() -> None:
    seen = list[str]()

    def work(i: int) -> int:
        seen.append(threading.current_thread().name)
        time.sleep(2 * SHORT)
        return i * i

    with ThreadPoolExecutor(2, "helper") as threads:
        assert list(mapped(work, range(12), threads)) == [i * i for i in range(12)]
    assert sum(name.startswith("helper") for name in seen) == 10


def test_short_work_stays_here_and_waits_until_it_is_asked_for() -> None:
    seen = list[int]()

    def work(i: int) -> int:
        seen.append(threading.get_ident())
        return i

    with ThreadPoolExecutor(2) as threads:
        answers = mapped(work, range(9), threads)
        assert len(seen) == 2
        assert list(answers) == list(range(9))
    assert set(seen) == {threading.get_ident()}


def test_nothing_to_do() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert list(mapped(str, [], threads)) == []
