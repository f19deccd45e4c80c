"""The trial of smaller pictures against packing every one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from odd_pictures import scenery, stored

from sightword.corpora.packing.encoding import Encoding, encoded
from sightword.corpora.stats.pictures import see
from sightword.corpora.stats.shrink import packed_size, shrink
from sightword.pairs.base import Pairs
from sightword.pairs.sample import Sample
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.writer import write_shard


def _corpus(folder: Path, sizes: list[int]) -> Pairs:
    images = [stored(scenery(size, size + 20, i), "JPEG", quality=92) for i, size in enumerate(sizes)]
    write_shard(folder / "a.tar", [Sample(f"k{i}", ("words",), {}, image) for i, image in enumerate(images)])
    return open_pairs(str(folder / "a.tar"))


def test_bytes_are_those_of_packing_all(tmp_path: Path) -> None:
    pairs = _corpus(tmp_path, [300, 500, 90, 64, 256, 400])
    rows = see(pairs, np.arange(6, dtype=np.int64), lambda done: None).rows
    found = shrink(pairs, rows, 224, 0, 1)
    how = Encoding(resize=256, only_large=True)
    packed = [len(encoded(pairs[i].image, "k", how, verify=False)) for i in range(6)]
    assert found is not None
    assert (found.resize, found.tried, found.would_change.count) == (256, 3, 3)
    assert found.bytes_now == pytest.approx(sum(len(pairs[i].image) for i in range(6)))
    assert found.bytes_then == pytest.approx(sum(packed))
    assert found.bytes_then < 0.7 * found.bytes_now
    assert 0 < found.seconds_after < found.seconds_before


def test_a_sample_stands_for_the_whole(tmp_path: Path) -> None:
    pairs = _corpus(tmp_path, [300] * 4)
    some = see(pairs, np.array([1, 3], dtype=np.int64), lambda done: None).rows
    found = shrink(pairs, some, 224, 0, 1)
    assert found is not None
    assert found.bytes_now == pytest.approx(2 * some["bytes"].sum())


def test_nothing_large_nothing_to_try(tmp_path: Path) -> None:
    pairs = _corpus(tmp_path, [100, 256])
    rows = see(pairs, np.arange(2, dtype=np.int64), lambda done: None).rows
    assert shrink(pairs, rows, 224, 0, 1) is None


def test_room_for_random_crops() -> None:
    assert [packed_size(size) for size in (224, 112, 336)] == [256, 128, 384]
