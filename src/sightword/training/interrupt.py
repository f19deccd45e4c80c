"""Ctrl-C and SIGTERM as a request: finish the step, save, say how to go on."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While entered, the first signal sets `asked`; a second one acts as it always does."""

    def __init__(self) -> None:
        self.asked = ""
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = signal.Signals(number).name
        self._give_back()

    def _give_back(self) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)  # type: ignore[arg-type]
        self._before = {}


def ignore_in_worker(worker: int) -> None:
    """Loader workers leave signals to their parent, which ends them itself."""
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
