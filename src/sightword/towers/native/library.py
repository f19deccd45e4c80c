"""Finds the compiled kernels of networks, and shares their work among threads."""

from __future__ import annotations

import ctypes
import functools
import os
import sysconfig
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock, Thread, local
from typing import Any

import torch

_AWAKE = 500_000  # nanoseconds that a thread waits before it sleeps
SETTING = "SIGHTWORD_NATIVE"  # 0: do without, as for the views
VERSION = 12  # of norm.h
_P, _N, _I, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
_SIGNATURES: dict[str, tuple[Any, ...]] = {  # result, arguments: see the .c files beside
    "wait_while": (None, _P, _N, _N),
    "norm_moments": (None, _I, _I, _P, _N, _N, _N, _N, _P),
    "norm_apply": (None, _I, _I, _P, _P, _N, _N, _N, _P, _P, _I, _P),
    "norm_sums": (None, _I, _I, _P, _P, _P, _N, _N, _N, _N, _P, _P, _P, _P),
    "norm_back": (None, _I, _I, _P, _P, _P, _N, _N, _N, _P, _P, _P, _P, _P, _P, _P),
    "norm_join": (None, _P, _N, _N, _F, _P, _P, _P, _P, _P, _P, _P, _P, _F),
    "norm_join_back": (None, _P, _N, _N, _P, _P, _P, _P, _P, _P, _P, _P),
    "convolution_usable": (_I,),
    "convolution_pack": (None, _P, _N, _N, _N, _I, _N, _N, _P),
    "convolution_apply": (_I, _P, _I, _P, _P, _P, _N, _N, _P),
    "convolution_weigh": (_I, _P, _P, _P, _N, _N, _P),
    "convolution_patches": (_I, _P, _P, _P, _P, _N, _N, _P),
    "attention_apply": (_I, _P, _P, _N, _N, _P, _P),
    "attention_back": (_I, _P, _P, _P, _P, _P, _N, _N, _P),
    "linear_apply": (_I, _P, _N, _N),
    "linear_pack_left": (None, _P, _N, _N),
    "linear_weigh": (_I, _P, _N, _N),
    "layer_norm_apply": (None, _P, _N, _N),
    "layer_norm_back": (None, _P, _N, _N),
    "layer_norm_add": (None, _P, _P, _N, _N, _N, _N, _P),
    "layer_norm_round": (None, _P, _N, _N, _N, _N, _P),
}


@functools.cache
def library(setting: str) -> ctypes.CDLL | None:
    """The compiled functions; None where they were not built, or are not wanted.

    Args:
        setting: the environment's SIGHTWORD_NATIVE, or "".
    """
    if setting == "0":
        return None
    file = Path(__file__).with_name("_kernel" + str(sysconfig.get_config_var("EXT_SUFFIX")))
    try:
        functions = ctypes.CDLL(str(file))
        if functions.norm_version() != VERSION:
            return None
    except (OSError, AttributeError):  # not built; built from other sources
        return None
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return functions


def current() -> ctypes.CDLL | None:
    """The compiled functions, if there are any and the environment does not forbid them."""
    return library(os.environ.get(SETTING, ""))


def shared(work: Callable[[int, int], None], parts: int, most: int) -> None:
    """Do parts 0 to `parts` in as many threads as torch has, at most `most`. C runs without Python's lock.

    Args:
        work: does the parts from one number to another, without it.
    """
    threads = min(torch.get_num_threads(), parts, most)
    if threads < 2:
        return work(0, parts)
    ends = [parts * i // threads for i in range(threads + 1)]
    functions = current()
    assert functions is not None, "there is work for them"
    helpers = _helpers(threads - 1, functions)
    for helper, first, last in zip(helpers, ends[1:], ends[2:], strict=False):
        helper.begin(work, first, last)
    try:
        work(0, ends[1])
    finally:
        errors = [helper.wait() for helper in helpers]
    for error in errors:
        if error is not None:
            raise error
    return None


class _Helper(Thread):
    """Does one piece of work at a time. An executor's queue and futures take longer than some of the work.

    Both sides wait awake for a moment, in C and without Python's lock, before they sleep.
    """

    def __init__(self, functions: ctypes.CDLL) -> None:
        super().__init__(name="towers", daemon=True)
        self._wait_while = functions.wait_while
        self._asked, self._done = Lock(), Lock()
        self._counts = (_N * 2)(0, 0)  # of what was asked for, and done
        self._asked.acquire()
        self._done.acquire()
        self._error: BaseException | None = None
        self.start()

    def begin(self, work: Callable[[int, int], None] | None, first: int, last: int) -> None:
        """Have a piece done; None ends the thread."""
        self._task = work, first, last
        self._counts[0] += 1
        self._asked.release()

    def wait(self) -> BaseException | None:
        """The end of what was begun, and what went wrong."""
        self._pause(1, self._counts[0] - 1)
        self._done.acquire()
        return self._error

    def run(self) -> None:
        while True:
            self._pause(0, self._counts[1])
            self._asked.acquire()
            work, first, last = self._task
            if work is None:
                return
            self._error = None
            try:
                work(first, last)
            except BaseException as error:
                self._error = error
            del work, self._task
            self._counts[1] += 1
            self._done.release()

    def _pause(self, which: int, old: int) -> None:
        self._wait_while(ctypes.byref(self._counts, 8 * which), old, _AWAKE)


class _Team:
    """The helpers of one thread, which end with it."""

    def __init__(self) -> None:
        self.process, self.helpers = os.getpid(), list[_Helper]()
        weakref.finalize(self, _let_go, self.helpers)


def _let_go(helpers: Sequence[_Helper]) -> None:
    for helper in helpers:
        helper.begin(None, 0, 0)


_own = local()


def _helpers(count: int, functions: ctypes.CDLL) -> Sequence[_Helper]:
    """This thread's own: nobody else's work comes between."""
    team: _Team | None = getattr(_own, "team", None)
    if team is None or team.process != os.getpid():  # after a fork threads are not there any more
        team = _own.team = _Team()
    while len(team.helpers) < count:
        team.helpers.append(_Helper(functions))
    return team.helpers[:count]
