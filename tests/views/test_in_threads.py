from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sightword.views import in_threads
from sightword.views.in_threads import SHORT, mapped


@pytest.mark.parametrize(("seconds", "helped"), [(2.1 * SHORT, 10), (1.9 * SHORT, 0)])  # of the first two
def test_long_work_is_shared_and_short_work_stays_here_until_it_is_asked_for(
    seconds: float, helped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([7.0, 7.0 + seconds])
    monkeypatch.setattr(in_threads.time, "perf_counter", lambda: next(clock))
    seen = list[str]()

    def work(i: int) -> int:
        seen.append(threading.current_thread().name)
        return i * i

    with ThreadPoolExecutor(2, "helper") as threads:
        answers = mapped(work, range(12), threads)
        assert helped or len(seen) == 2
        assert list(answers) == [i * i for i in range(12)]
    assert sum(name.startswith("helper") for name in seen) == helped


def test_nothing_to_do() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert list(mapped(str, [], threads)) == []
