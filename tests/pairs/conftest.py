"""Tars made on the spot."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeTar = Callable[..., Path]


@pytest.fixture
def make_tar(tmp_path: Path) -> MakeTar:
    """`make_tar("a.tar", {"x.jpg": b"..."})`: a tar in the test's folder."""

    def make(
        name: str, files: dict[str, bytes] | list[tuple[str, bytes]], format: int = tarfile.USTAR_FORMAT
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=format) as tar:
            for member, data in files.items() if isinstance(files, dict) else files:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture
def make_pairs(make_tar: MakeTar) -> MakeTar:
    """`make_pairs("a.tar", 5)`: a tar of 5 pairs whose every byte tells which sample it is of."""

    def make(name: str, count: int, first: int = 0, **fields: Any) -> Path:
        files = {}
        for number in range(first, first + count):
            files[f"{number:06d}.jpg"] = f"picture {number} ".encode() * (number % 50 + 1)
            files[f"{number:06d}.txt"] = f"caption {number}".encode()
            files[f"{number:06d}.json"] = json.dumps({"number": number, **fields}).encode()
        return make_tar(name, files)

    return make
