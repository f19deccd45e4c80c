"""Faults that ask, stop or starve a run: signals, a full disk, a dead loader, a process that stands still."""

from __future__ import annotations

import signal
import time
from random import Random
from typing import Literal

from _attempts import Attempt
from _disturbed import Aim
from _moments import Draw, Fault, Room, soon

HINT = r"(SIGTERM|SIGINT): saved at step \d+ of \d+; go on with: sightword train --resume "
NO_ROOM = r"^sightword: .*could not write '.*what was saved before is whole: free some space"
NO_LOADER = r"^sightword: .*a loader process died"
HUNG = r"^sightword: hang: rank \d+ on "
Whom = Literal["started", "all", "one"]
REFUSED = frozenset({2})


def asked(number: signal.Signals, whom: Whom, codes: set[int], again: bool = False) -> Draw:
    """A signal that asks to stop: to the process that was started, to its group, or to one rank; or twice."""

    def draw(room: Room, chance: Random) -> Fault:
        step, later = soon(room, chance), chance.uniform(0, 0.05)
        between, rank = chance.uniform(0.001, 0.03), chance.random()

        def act(attempt: Attempt) -> bool:
            if not attempt.until(lambda: attempt.reached(step)):
                return False
            time.sleep(later)
            _ask(attempt, number, whom, rank)
            if again:
                time.sleep(between)
                _ask(attempt, number, whom, rank)
            return True

        said = f"{number.name}: this step" if again else HINT
        return Fault(act=act, codes=frozenset(codes), said=said)

    return draw


def _ask(attempt: Attempt, number: int, whom: Whom, rank: float) -> None:
    pids = attempt.pids()
    if whom == "all":
        attempt.send_all(number)
    else:
        attempt.send(number, *(pids[int(rank * len(pids)) :][:1] if whom == "one" else ()))


def stopped_for_a_while(room: Room, chance: Random) -> Fault:
    """SIGSTOP, a pause, SIGCONT, and SIGTERM: nothing is lost by the pause."""
    step, pause, rank = soon(room, chance), chance.uniform(0.1, 0.5), chance.random()

    def act(attempt: Attempt) -> bool:
        if not attempt.until(lambda: attempt.reached(step)):
            return False
        _ask(attempt, signal.SIGSTOP, "one", rank)
        time.sleep(pause)
        _ask(attempt, signal.SIGCONT, "one", rank)
        _ask(attempt, signal.SIGTERM, "one", rank)
        return True

    return Fault(act=act, codes=frozenset({0}), said=HINT)


def stopped_for_good(room: Room, chance: Random) -> Fault:
    """SIGSTOP to one of several processes, for longer than a step may take: a hang, which names it."""
    step, rank = soon(room, chance), chance.random()

    def act(attempt: Attempt) -> bool:
        if not attempt.until(lambda: attempt.reached(step)):
            return False
        stopped = attempt.pids()[int(rank * len(attempt.pids())) :][:1]
        attempt.send(signal.SIGSTOP, *stopped)
        attempt.until(lambda: "sightword: hang: " in attempt.said())
        attempt.send(signal.SIGKILL, *stopped)  # else torchrun waits for it for half a minute
        return True

    return Fault(act=act, codes=frozenset({1}), said=HUNG)


def loader_killed(room: Room, chance: Random) -> Fault:
    """SIGKILL to a loader process, as the kernel does when memory is short."""
    step, rank = soon(room, chance, 12), chance.random()

    def act(attempt: Attempt) -> bool:
        attempt.until(lambda: attempt.reached(step))
        loaders = attempt.loaders(int(rank * len(attempt.pids())))
        if loaders:
            attempt.send(signal.SIGKILL, loaders[-1])
        return bool(loaders)

    return Fault(act=act, codes=REFUSED, said=NO_LOADER)


def disk_full(room: Room, chance: Random) -> Fault:
    """The disk is full at a checkpoint: before it, within it, or at the file for use beside it."""
    step, left = soon(room, chance), chance.randint(0, 450_000)
    return Fault(aims=(Aim("batch", f"^{step}$", do="full", room=left),), codes=REFUSED, said=NO_ROOM)


def file_too_large(room: Room, chance: Random) -> Fault:
    """No file may grow beyond a limit (RLIMIT_FSIZE): as a quota."""
    step, left = soon(room, chance), chance.randint(2_000, 120_000)
    return Fault(aims=(Aim("batch", f"^{step}$", do="limit", room=left),), codes=REFUSED, said=NO_ROOM)
