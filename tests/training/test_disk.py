"""A run's directory is held by its own process alone, not by what that process started."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sightword.training.disk import alone_in


def test_a_forked_child_does_not_hold_the_directory(tmp_path: Path) -> None:
    """A loader process outlives a run that was killed by some seconds; the run can go on at once."""
    told, tells = os.pipe()
    with alone_in(tmp_path):
        child = os.fork()
        if child == 0:
            os.write(tells, b"here")
            signal.pause()
            os._exit(0)
        os.read(told, 4)
    try:
        with alone_in(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tells)
