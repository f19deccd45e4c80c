"""One run inside a job of a cluster: a child that saves when the job is told to go."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess

from sightword.config import Config
from sightword.study.launching.launcher import Work
from sightword.training.child import failure_of, start

_AWAKE = 0.5  # seconds


@dataclass
class Alone:
    """Does the work in a child, so that it can save while the job's own process hears the cluster's signals.

    folder: from where relative paths are read: where the study was started, on a disk that all machines see.
    threads: of the run.
    """

    work: Work
    folder: str
    threads: int

    def __post_init__(self) -> None:
        self.child: SpawnProcess | None = None

    def __call__(self, config: Config) -> str:
        """Carry out the run; gives why it failed, or ""."""
        os.chdir(self.folder)
        self.child = start(self.work, config, self.threads)
        try:
            while self.child.is_alive():  # Ray's cancelling wakes nobody: it is seen between two waits
                self.child.join(_AWAKE)
        finally:  # cancelled: by KeyboardInterrupt
            self.child.terminate()
            self.child.join()
        failure = failure_of(self.child, config)
        return failure.reason if failure else ""

    def save(self) -> None:
        """Ask the child to save and end, and wait for it; may be called in a signal handler."""
        if self.child is not None and self.child.pid is not None:
            with suppress(ProcessLookupError, ChildProcessError):  # it has ended by itself
                os.kill(self.child.pid, signal.SIGTERM)
                # Not `join`, which this may have interrupted.
                os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)

    def __getstate__(self) -> dict[str, object]:
        """Without the child: it stays where it is."""
        return {**self.__dict__, "child": None}
