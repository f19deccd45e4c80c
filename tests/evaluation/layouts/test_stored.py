"""Stored arrays: made once by however many threads, mapped where they can be."""

from __future__ import annotations

import gzip
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.layouts import stored as room
from sightword.evaluation.layouts.stored import Once, head, stored


def test_once_is_once() -> None:
    made: list[int] = []

    def make() -> int:
        time.sleep(0.05)
        made.append(len(made))
        return made[-1]

    once = Once(make)
    assert made == []
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: once(), range(8))) == {0}
    assert made == [0]


def test_plain_files_are_mapped_and_packed_ones_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_CHUNK", 7)  # so that values lie across pieces
    values = np.arange(30, dtype="<i4").reshape(5, 3, 2)
    (tmp_path / "plain").write_bytes(b"head" + values.tobytes())
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"head" + values.tobytes()))
    mapped, unpacked = (stored(tmp_path / name, 4, "<i4", (5, 3, 2))() for name in ("plain", "packed.gz"))
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, values)
    assert np.array_equal(unpacked, values)
    assert head(tmp_path / "packed.gz", 4) == head(tmp_path / "plain", 4) == b"head"


@pytest.mark.parametrize("extra", [-1, 1, 5])
def test_other_lengths_are_refused(tmp_path: Path, extra: int) -> None:
    (tmp_path / "plain").write_bytes(bytes(24 + extra))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(bytes(24 + extra)))
    with pytest.raises(SightwordError, match=f"has {24 + extra} bytes; wanted 24 for 5 entries"):
        stored(tmp_path / "plain", 4, "<i4", (5,))
    later = stored(tmp_path / "packed.gz", 4, "<i4", (5,))
    with pytest.raises(SightwordError, match=f"unpacks to {24 + extra} bytes; wanted 24"):
        later()
