"""One run in a process of its own, which saves and ends when it is asked to or when its parent is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Thread

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.training.allocator import large_pages
from sightword.training.turns import take_long_turns

Work = Callable[[Config], None]
LOG = "log.txt"
_QUEUES = {signal.SIGUSR1, signal.SIGUSR2}  # how queues of clusters tell a job that its time is up


@dataclass(frozen=True)
class Failure:
    """A run that ended before its end: its directory, and why."""

    out: str
    reason: str

    def __str__(self) -> str:
        return f"{self.out} ({self.reason})"


def start(work: Work, config: Config, threads: int = 1, gpu: str = "", nice: int = 0) -> SpawnProcess:
    """Begin a run in a new process; what it says goes to `log.txt` in its directory.

    SIGTERM asks it to save and end. Ctrl-C in a terminal does not reach it, and SIGUSR1 and SIGUSR2, which a
    queue sends to every process of a job, are left to its parent.

    Args:
        work: what is done with the configuration.
        config: of the run.
        threads: of the CPU.
        gpu: the only one that it sees, as CUDA_VISIBLE_DEVICES names it; "": those that this process sees.
        nice: added to this process's own; runs with a higher one give way.
    """
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(work, config, threads, gpu, nice), name=Path(config.out).name
    )
    with _holding_back(_QUEUES), large_pages():
        process.start()
    return process


def failure_of(process: SpawnProcess, config: Config) -> Failure | None:
    """Why a process that has ended failed; None when it did not."""
    assert process.exitcode is not None, "it has ended"
    if process.exitcode == 0:
        return None
    said = _last_line(Path(config.out) / LOG)
    if process.exitcode < 0:
        said = f"killed by {signal.Signals(-process.exitcode).name}; its last words: {said}"
    return Failure(config.out, said)


@contextmanager
def _holding_back(signals: set[signal.Signals]) -> Iterator[None]:
    """A process that is born meanwhile begins with these signals held back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(work: Work, config: Config, threads: int, gpu: str, nice: int) -> None:
    for one in _QUEUES:
        signal.signal(one, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _QUEUES)
    os.setpgrp()  # Ctrl-C reaches the launcher alone, which asks each run once to save and end
    Thread(target=_end_with_parent, daemon=True).start()
    os.nice(nice)
    take_long_turns()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    import torch

    torch.set_num_threads(threads)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    with (
        (out / LOG).open("a", encoding="utf-8", buffering=1) as log,
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        for stream in (1, 2):  # what signal handlers, libraries and children of its own say
            os.dup2(log.fileno(), stream)
        try:
            work(config)
        except SightwordError as error:
            print(f"sightword: {error}")
            sys.exit(2)
        except Exception:  # its traceback belongs into the log, where its launcher looks for the reason
            traceback.print_exc()
            sys.exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").strip().splitlines() if path.is_file() else []
    return lines[-1] if lines else "it said nothing"
