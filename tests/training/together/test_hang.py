"""Who is to blame when nothing moves, and where a thread stands."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch.distributed as dist

import sightword
from sightword.training.together.hang import LOST, Heard, judge
from sightword.training.together.standing import Standing, main_threads_place, main_threads_stack, place_of

SILENCE = 30.0
FREE = Standing(
    rank=0, host="node-a", pid=1, step=118, beats=119, doing="", paused=False, seconds=600.0,
    own="sightword/training/together/ranks.py:102 (shared)",
    innermost="torch/distributed/distributed_c10d.py:3252 (all_reduce)", collective=True, left="", told=9,
)  # fmt: skip
LOADING = {
    "own": "sightword/training/supply.py:120 (__next__)", "innermost": "/usr/lib/queue.py:180 (get)",
    "collective": False, "host": "node-b",
}  # fmt: skip


def four(**two: object) -> dict[int, Heard]:
    """Four ranks, all but rank 2 in the same collective at the same step."""
    heard = {rank: Heard(dataclasses.replace(FREE, rank=rank)) for rank in range(4)}
    return heard | {2: Heard(dataclasses.replace(FREE, rank=2, **two))}  # type: ignore[arg-type]


def test_who_is_not_in_a_collective_while_others_are() -> None:
    verdict = judge(four(**LOADING), SILENCE)
    assert verdict.ranks == (2,)
    assert verdict.said == (
        "rank 2 on node-b has stood for 600 s at step 118 in sightword/training/supply.py:120 (__next__),"
        " there /usr/lib/queue.py:180 (get); 3 others wait at step 118 in"
        " sightword/training/together/ranks.py:102 (shared),"
        " there torch/distributed/distributed_c10d.py:3252 (all_reduce)"
    )


def test_who_is_a_step_or_a_beat_behind_even_in_a_collective() -> None:
    assert judge(four(step=117), SILENCE).ranks == (2,)
    assert judge(four(beats=118), SILENCE).ranks == (2,)
    ahead = judge(four(step=119, beats=120), SILENCE)
    assert ahead.ranks == (0, 1, 3)
    assert ahead.said.startswith("rank 0 on node-a (and likewise ranks 1, 3) has stood")


def test_who_stands_elsewhere_than_most() -> None:
    assert judge(four(own="sightword/training/loop.py:9 (_save)"), SILENCE).ranks == (2,)


def test_who_is_silent_before_who_is_behind() -> None:
    heard = four(step=117) | {1: Heard(dataclasses.replace(FREE, rank=1, host="node-c"), silent=95.4)}
    verdict = judge(heard, SILENCE)
    assert verdict.ranks == (1,)
    assert (
        "rank 1 on node-c is cut off, dead or stopped: not heard of for 95 s, last at step 118"
        in verdict.said
    )
    assert "3 others wait, 2 of them at step 118" in verdict.said


def test_who_left_or_never_came() -> None:
    left = judge(four(left="SightwordError: disk full", step=90), SILENCE)
    assert left.ranks == (2,)
    assert left.said.startswith("rank 2 on node-a left at step 90 (SightwordError: disk full); 3 others wait")
    absent = judge(four() | {3: Heard(None)}, SILENCE)
    assert absent.ranks == (3,)
    assert absent.said.startswith("rank 3 never came to the first step; 3 others wait")
    many = judge({0: Heard(FREE)} | {rank: Heard(None) for rank in range(1, 20)}, SILENCE)
    assert "ranks 1, 2, 3, 4, 5, 6, 7, 8 and 11 more never came" in many.said
    assert many.said.endswith("1 other waits at step 118 in " + str(FREE.place))


def test_who_left_because_it_lost_the_others_is_not_to_blame() -> None:
    heard = four(left=LOST) | {1: Heard(dataclasses.replace(FREE, rank=1), silent=60.0)}
    assert judge(heard, SILENCE).ranks == (1,)


def test_who_saves_holds_up_the_others_and_may() -> None:
    verdict = judge(four(paused=True, doing="saving", beats=200), SILENCE)
    assert (verdict.ranks, verdict.paused) == ((2,), True)
    assert "rank 2 on node-a has stood for 600 s at step 118, saving, in" in verdict.said
    silent = four() | {2: Heard(dataclasses.replace(FREE, rank=2, paused=True), silent=60.0)}
    assert not judge(silent, SILENCE).paused, "who is dead does not save"


def test_nobody_is_late() -> None:
    verdict = judge(four(), SILENCE)
    assert verdict.ranks == ()
    assert "all 4 ranks have stood for 600 s" in verdict.said
    assert "nobody is late, so it is the network between them or a device" in verdict.said
    alone = judge({0: Heard(FREE)}, SILENCE)
    assert alone.ranks == (0,)
    assert alone.said == f"rank 0 on node-a has stood for 600 s at step 118 in {FREE.place}"


STUCK = "def stuck(there, end):\n    there.set()\n    end()\n"


def standing_in(file: Path, end: Callable[[], object]) -> FrameType:
    """The innermost frame of a thread that calls `end` in a function of this file, and comes not back."""
    names: dict[str, Any] = {}
    exec(compile(STUCK, str(file), "exec"), names)
    there = threading.Event()
    thread = threading.Thread(target=names["stuck"], args=(there, end), daemon=True)
    thread.start()
    assert there.wait(10)
    time.sleep(0.1)
    assert thread.ident
    return sys._current_frames()[thread.ident]


def test_a_place_names_our_innermost_frame_and_the_innermost() -> None:
    free = threading.Event()
    place = place_of(standing_in(Path(sightword.__file__).parent / "training" / "made_up.py", free.wait))
    free.set()
    assert place.own == "sightword/training/made_up.py:3 (stuck)"
    assert "threading.py" in place.innermost
    assert str(place) == f"{place.own}, there {place.innermost}"
    assert not place.collective


def test_a_place_in_a_collective() -> None:
    lock = threading.Lock()
    lock.acquire()
    place = place_of(standing_in(Path(dist.__file__).parent / "made_up.py", lock.acquire))
    lock.release()
    assert place.collective
    assert str(place) == "torch/distributed/made_up.py:3 (stuck)"


def test_the_main_thread_stands_here() -> None:
    assert "test_the_main_thread_stands_here" in "".join(main_threads_stack())
    assert main_threads_place().innermost.startswith("sightword/training/together/standing.py")
