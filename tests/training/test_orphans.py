"""A loader process tells of what goes wrong as long as its training process lives, and nothing afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, time
from sightword.training.interrupt import in_worker
ready, begun = os.pipe()
child = os.fork()
if child == 0:
    in_worker(0)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    parent = os.getppid()
    os.write(begun, b'.')
    while {orphaned} and os.getppid() == parent:
        time.sleep(0.01)
    try:
        raise ConnectionResetError("the other end is gone")
    except ConnectionResetError:
        sys.excepthook(*sys.exc_info())  # as multiprocessing's threads do
    os._exit(0)
os.read(ready, 1)
if {orphaned}:
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.parametrize("orphaned", [True, False])
@pytest.mark.skipif(sys.platform == "win32", reason="fork")
def test_an_orphan_is_silent(orphaned: bool) -> None:
    command = [sys.executable, "-c", SCRIPT.format(orphaned=orphaned)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120, check=True)  # to its end
    assert ("the other end is gone" in done.stderr) is not orphaned, done.stderr
