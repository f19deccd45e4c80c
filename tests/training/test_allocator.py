"""Freed memory is kept: what a process gets a second time needs no page faults."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys

import pytest

from sightword.training.allocator import large_pages, unwatched

_FAULTS = """
import ctypes, resource, sys
from sightword.training.allocator import keep_memory
if sys.argv[1] == "kept":
    assert keep_memory()
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.malloc.argtypes, c.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
def work():
    size = int(sys.argv[2]) * 2**20
    blocks = [c.malloc(size) for _ in range(8)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks:
        c.free(block)
for _ in range(3):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str, mib: int) -> int:
    command = [sys.executable, "-c", _FAULTS, how, str(mib)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
@pytest.mark.parametrize("mib", [24, 100])
def test_memory_that_was_freed_is_used_again(mib: int) -> None:
    given_back = _faults("given back", mib)
    if given_back < 1000:
        pytest.skip(f"this system maps large pages or another malloc: {given_back} faults without it")
    assert _faults("kept", mib) < given_back / 4


def test_large_pages_are_asked_for_meanwhile_and_where_the_user_said_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    with large_pages():
        assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    assert "GLIBC_TUNABLES" not in os.environ
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    with large_pages():
        assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.check=1"
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.check=1"


def test_rubbish_is_searched_for_again_afterwards() -> None:
    with unwatched():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
