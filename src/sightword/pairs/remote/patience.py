"""Trying again: what may pass by itself is waited for, with growing pauses, and all is counted.

A permanent failure (nothing is there, no rights) is a `SightwordError` at once and never comes here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sightword.errors import SightwordError
from sightword.randomness import stream, uniform

T = TypeVar("T")
_PROGRESS = 1 << 20  # bytes after which failures are counted anew: a long transfer may break now and then


class Transient(Exception):  # noqa: N818  a state of the network, not yet an error
    """A failure that may pass.

    Args:
        kind: in a few words, the same for failures of one kind: they are counted by it.
        wait: seconds that the server asked for, 0 when it did not.
    """

    def __init__(self, kind: str, wait: float = 0.0) -> None:
        super().__init__(kind)
        self.kind, self.wait = kind, wait


@dataclass(frozen=True)
class Patience:
    """How long to bear with a network.

    Args:
        tries: failures in a row, with next to nothing arriving between them, after which it is given up.
        pause: seconds before the second try; twice as long before each further one, up to `longest`.
        longest: seconds.
        asked: the longest pause in seconds that a server may ask for (`Retry-After`).
        timeout: seconds that a server may stay silent.
    """

    tries: int = 8
    pause: float = 0.5
    longest: float = 30.0
    asked: float = 300.0
    timeout: float = 30.0

    @property
    def longest_silence(self) -> float:
        """Seconds after which another process that is trying has given up, whatever happened to it."""
        return self.tries * (8 * self.timeout + self.longest) + self.asked

    def seconds(self, name: str, failures: int, wait: float = 0.0) -> float:
        """The pause after so many failures in a row: half to all of its full length, by the name.

        So those who failed together do not come back together, and yet it is the same in every run.
        """
        share = float(uniform(0, stream("retry", name), [failures], 0, 1)[0, 0])
        own = min(self.longest, self.pause * 2.0 ** (failures - 1))
        return max(own * (0.5 + 0.5 * share), wait)


def persist(
    work: Callable[[], T],
    name: str,
    patience: Patience,
    failures: Counter[str],
    position: Callable[[], int] = lambda: 0,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """What `work` answers, tried again after transient failures.

    Args:
        work: is called until it answers; must be able to go on from where it failed.
        name: of what is wanted: an address.
        patience: how often and how long.
        failures: every failure is added here, by kind.
        position: bytes that have arrived so far, over all tries.
        sleep: how to pause.

    Raises:
        SightwordError: it failed too often in a row, or the server asks for too long a pause.
    """
    row, reached = 0, position()
    while True:
        try:
            return work()
        except Transient as error:
            failures[error.kind] += 1
            row, reached = (1, position()) if position() - reached >= _PROGRESS else (row + 1, reached)
            if row >= patience.tries or error.wait > patience.asked:
                raise SightwordError(_given_up(name, row, error, failures)) from error
            sleep(patience.seconds(name, row, error.wait))


def listed(failures: Counter[str]) -> str:
    """`3 HTTP 503, 1 timed out`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(failures.items()))


def _given_up(name: str, row: int, error: Transient, failures: Counter[str]) -> str:
    asked = f"; the server asks for a pause of {error.wait:,.0f} s" if error.wait else ""
    return (
        f"'{name}' cannot be read: {row} failures in a row ({listed(failures)}){asked}; look at the network "
        "and start again, what has arrived is kept"
    )
