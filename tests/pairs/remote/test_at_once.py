from __future__ import annotations

import threading
import time

import pytest

from sightword.pairs.remote import bar as bar_room
from sightword.pairs.remote.at_once import Stop, Stopped, at_once
from sightword.pairs.remote.bar import Bar


def test_answers_come_in_the_order_of_the_jobs() -> None:
    together = threading.Barrier(3)

    def work(job: int, stop: Stop) -> int:
        together.wait(20)  # all three at once
        time.sleep(0.01 * (3 - job))
        return job * job

    assert at_once(work, [0, 1, 2], 3) == [0, 1, 4]
    assert at_once(work, [], 3) == []


def test_the_first_error_ends_the_others_at_once() -> None:
    stopped, begun = [], time.monotonic()

    def work(job: int, stop: Stop) -> None:
        if job == 1:
            raise ValueError("job 1")
        try:
            stop.sleep(60.0)
        except Stopped:
            stopped.append(job)
            raise

    with pytest.raises(ValueError, match="job 1"):
        at_once(work, range(100), 4)
    assert time.monotonic() - begun < 20
    assert set(stopped) <= {0, 2, 3, 4}


def test_a_stop_that_nobody_asks_for_changes_nothing() -> None:
    stop = Stop()
    stop.check()
    stop.sleep(0.01)
    stop.ask()
    for call in (stop.check, lambda: stop.sleep(60.0)):
        with pytest.raises(Stopped):
            call()


def test_without_a_screen_a_bar_is_a_line_now_and_then(capsys, monkeypatch) -> None:
    monkeypatch.setattr(bar_room, "_EVERY", 0.0)
    with Bar("examining", 4_000_000, "bytes") as bar:
        time.sleep(0.01)
        bar.add(1_000_000)
    said = capsys.readouterr().err
    assert "examining: 1/4 MB" in said
    assert "eta" in said
    monkeypatch.setenv("RANK", "3")
    with Bar("examining", 4, "shards") as bar:
        bar.add(1)
    assert capsys.readouterr().err == ""
