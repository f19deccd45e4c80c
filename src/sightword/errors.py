"""The one exception that a user is meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SightwordError(Exception):
    """Bad input from a user: one clear line that says what was found, what was wanted and what to do.

    The command line prints it without a traceback and exits with code 2. Our own mistakes are
    `assert`s instead.
    """


class SharedError(SightwordError):
    """One that every process of a run raises together; the first of them tells it."""


class LonelyError(SightwordError):
    """One that a single process of several met: that process tells it itself."""


def unknown(kind: str, found: str, known: Iterable[str], do: str = "") -> SightwordError:
    """The error for a name nobody knows, with the nearest names that somebody does."""
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return SightwordError(f"unknown {kind} '{found}'; {hint}{' ' + do if do else ''}")


class BadSample(Exception):  # noqa: N818  a sample is bad; the program is not in error
    """One unreadable sample: counted and quarantined by whoever reads a batch, never a crash."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadSample], tuple[str, str]]:
        return BadSample, (self.key, self.reason)
