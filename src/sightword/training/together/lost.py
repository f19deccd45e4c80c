"""What comes up when another process has gone: torch's own words for it, and ours.

gloo raises a plain RuntimeError and names its source file; after a time-out it says of every further
collective that the pair is closed. NCCL raises DistBackendError, the key-value store DistStoreError or
DistNetworkError; all three are DistError.
"""

from __future__ import annotations

import re

from torch.distributed import DistError

from sightword import distributed
from sightword.errors import LonelyError


class Lost(LonelyError):  # noqa: N818  said as it is used: `lost(error)`
    """Another process cannot be reached: no collective can be used any more."""


_GLOO = re.compile(r"gloo/|caused pair closure|connectFullMesh", re.IGNORECASE)
_HOW = (
    (
        re.compile(r"timed? ?out|timeout", re.IGNORECASE),
        "another process does not answer: it hangs, has ended or is cut off",
    ),
    (
        re.compile(r"closed by peer|reset by peer|broken pipe|connection (was|refused)", re.IGNORECASE),
        "another process has ended",
    ),
)


def lost(error: BaseException, step: int | None, last_words: str = "") -> Lost | None:
    """The line for a user when `error` says that another process cannot be reached; None when it does not.

    No collective can be used after it.

    Args:
        error: what came up.
        step: the step that was at work; None before the first.
        last_words: what is known of the others, see `Watchdog.last_words`.
    """
    if isinstance(error, Lost):
        return error
    told = _cause(error)
    if told is None:
        return None
    first = told.partition("\n")[0].partition(". This is typically")[0]
    how = next((said for known, said in _HOW if known.search(told)), "another process cannot be reached")
    why = last_words or "its own message tells why"
    when = "before its first step" if step is None else f"at step {step}"
    return Lost(
        f"rank {distributed.rank()} of {distributed.world_size()} lost the others {when}: {how}"
        f" ({first}); {why}; torchrun starts all of them again if --max-restarts allows, or go on with"
        " sightword train --resume RUN"
    )


def _cause(error: BaseException | None) -> str | None:
    """The words of the first error in the chain that is of a lost process."""
    while error is not None:
        if isinstance(error, DistError) or (isinstance(error, RuntimeError) and _GLOO.search(str(error))):
            return str(error)
        error = error.__cause__
    return None
