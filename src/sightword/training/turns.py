"""Turns at the processor, where there are more runs than cores."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_SET = {"x86_64": 314, "aarch64": 274}  # sched_setattr(2), which the C library does not have
_TURN = 20_000_000  # nanoseconds


class _Attributes(ctypes.Structure):
    """`struct sched_attr` of linux/sched/types.h, in its first form of 48 bytes."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def take_long_turns() -> bool:
    """Ask Linux to let this thread, and those that it begins, work for 20 ms in a row; whether one could.

    Unasked it is 3 ms, and then the caches hold another run's numbers: three runs on two cores take 3 % less
    processor time. Linux 6.12 and later heed it, earlier ones do not. Priorities stay, and so does who waits
    for how long altogether.
    """
    number = _SET.get(platform.machine())
    if not sys.platform.startswith("linux") or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    wish = _Attributes(ctypes.sizeof(_Attributes), os.SCHED_OTHER, 0, os.getpriority(os.PRIO_PROCESS, 0))
    wish.runtime = _TURN
    return int(ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wish), 0)) == 0
