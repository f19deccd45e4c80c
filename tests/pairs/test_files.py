"""Files are written whole; what a killed writer left aside is removed, what is being written is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import BinaryIO

import pytest

from sightword.pairs.files import sweep, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_what_nobody_writes_is_swept(tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"new")
        sweep(tmp_path)
        assert len(names(tmp_path)) == 1

    write_whole(tmp_path / "kept", write)
    assert (tmp_path / "kept").read_bytes() == b"new"
    assert names(tmp_path) == ["kept"]


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"old")
    child = os.fork()
    if child == 0:
        write_whole(tmp_path / "kept", lambda file: os.kill(os.getpid(), signal.SIGKILL))
    os.waitpid(child, 0)
    assert len(names(tmp_path)) == 2
    sweep(tmp_path)
    assert names(tmp_path) == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"old"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"old")

    def fails(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_whole(tmp_path / "kept", fails)
    assert names(tmp_path) == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"old"
