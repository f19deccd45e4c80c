"""Ctrl-C and SIGTERM as a request: finish the step, save, say how to go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO = 5.0  # seconds in which torchrun hands on what a queue has sent to every process already
_GONE = 1.0  # seconds


class Interrupt:
    """While entered, the first signal sets `asked`; the same signal again acts as it always does.

    The other signal stays a request: Ctrl-C reaches a whole group of processes, and a parent that ends its
    children then sends them SIGTERM while they are saving. Under torchrun the first seconds do not count.
    """

    def __init__(self) -> None:
        self.asked = ""
        self._at = 0.0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in list(self._before):
            self._give_back(one)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and time.monotonic() - self._at < _ECHO and "TORCHELASTIC_RUN_ID" in os.environ:
            return
        if not self.asked:
            self.asked, self._at = signal.Signals(number).name, time.monotonic()
            os.write(2, f"\n{self.asked}: this step is finished, then saved\n".encode())
        self._give_back(signal.Signals(number))

    def _give_back(self, one: signal.Signals) -> None:
        signal.signal(one, self._before.pop(one))  # type: ignore[arg-type]


def in_worker(worker: int) -> None:
    """Loader workers leave signals to their parent: it needs their batches until it has saved.

    One whose parent is gone has nothing to tell: its connections break, and Python's threads print that.
    """
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    parent, told = os.getppid(), sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, OSError | EOFError):
            time.sleep(_GONE)  # a process that ends closes its connections before it is gone
        if os.getppid() == parent:
            told(kind, error, trace)

    sys.excepthook = tell
