"""Many drawings at once: over processes, in order, and never for ever."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from functools import partial

from sightword.corpora.building.drawing import Drawing, Drawn, draw
from sightword.errors import SightwordError

_TOGETHER = 16  # drawings that a process takes at a time
_LONGEST = 300.0  # seconds for them; a few milliseconds each is usual


def draw_all(drawings: Sequence[Drawing], size: int, workers: int) -> Iterator[Drawn]:
    """Each drawing drawn, in order; what comes does not depend on the number of workers.

    Raises:
        SightwordError: what draws SVG is not installed, or some drawing takes for ever.
    """
    if workers < 2:
        yield from (draw(drawing, size) for drawing in drawings)
        return
    parts = (drawings[start : start + _TOGETHER] for start in range(0, len(drawings), _TOGETHER))
    # Spawned, since a fork copies whatever locks the threads of this process hold; Ctrl-C is for us alone.
    spawn, deaf = multiprocessing.get_context("spawn"), (signal.SIGINT, signal.SIG_IGN)
    with spawn.Pool(workers, signal.signal, deaf) as pool:
        coming = pool.imap(partial(_draw_some, size=size), parts)
        for start in range(0, len(drawings), _TOGETHER):
            try:
                yield from coming.next(_LONGEST)
            except multiprocessing.TimeoutError as error:
                raise SightwordError(
                    f"drawings {start + 1} to {start + _TOGETHER} take more than {_LONGEST:.0f} s, or their "
                    "process died; fetch the archive again, and free memory if there is little"
                ) from error


def _draw_some(drawings: Sequence[Drawing], size: int) -> list[Drawn]:
    return [draw(drawing, size) for drawing in drawings]
