"""From measurements to the record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import write_corpus

from sightword.corpora.stats import tell as stats_tell
from sightword.corpora.stats.captions import gathered, read_captions
from sightword.corpora.stats.pictures import PICTURE, Seen, see
from sightword.corpora.stats.record import PictureStats
from sightword.pairs.sources import open_pairs


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    pairs = open_pairs(str(write_corpus(tmp_path_factory.mktemp("corpus"))))
    return see(pairs, np.arange(40, dtype=np.int64), lambda done: None)


@pytest.fixture(scope="module")
def told(seen: Seen) -> PictureStats:
    return stats_tell.pictures(seen, 400, 224)


def test_what_was_put_in_comes_out(told: PictureStats) -> None:
    assert (told.sample, told.readable, told.unreadable.count) == (40, 37, 3)
    assert told.formats == {"JPEG": 13, "WEBP": 9, "PNG": 14, "GIF": 1}
    assert (told.blank.count, told.animated.count, told.gray.count) == (4, 1, 4)
    assert told.extreme_shape.count == 1
    assert told.smaller_than_training.count == 37 - 18
    assert told.twice_training.count == 9
    assert sum(told.unreadable_reasons.values()) == 3
    assert sum(told.shorter_side.counts) == 37


def test_channels_weigh_every_picture_alike(seen: Seen, told: PictureStats) -> None:
    assert told.channel_mean == pytest.approx(seen.rows["mean"].mean(axis=0))
    variances = [row["square"] - row["mean"] ** 2 for row in seen.rows]
    spread = np.mean(variances, axis=0) + seen.rows["mean"].var(axis=0)  # the law of total variance
    assert np.square(told.channel_std) == pytest.approx(spread)


def test_bytes_of_all_are_estimated_from_the_sample(seen: Seen, told: PictureStats) -> None:
    assert told.bytes_total == pytest.approx(seen.rows["bytes"].sum() / 37 * 400)


def test_copies_are_found_once(seen: Seen) -> None:
    found = stats_tell.repeats(seen.rows)
    assert (found.same_bytes.count, found.same_bytes.of) == (2, 37)  # of the first scene, large and small
    assert found.near_copies.count == 8  # every scene at half its size
    alike = {frozenset(pair) for pair in found.pairs}
    assert alike == {frozenset((i, i + 8)) for i in range(8)}


def test_nothing_readable_is_no_error() -> None:
    nothing = Seen(np.zeros(0, dtype=PICTURE), [])
    found = stats_tell.pictures(nothing, 10, 224)
    assert (found.readable, found.unreadable.share, found.bytes_total) == (0, 0.0, 0.0)
    assert stats_tell.repeats(nothing.rows).near_copies.count == 0


@given(st.lists(st.integers(0, 40), max_size=30))
def test_histograms_count_everything_once(values: list[int]) -> None:
    found = stats_tell.histogram(np.array(values, dtype=np.int64), [0, 5, 10, 20], open=True)
    naive = Counter(0 if v < 5 else 1 if v < 10 else 2 for v in values)
    assert found.counts == (naive[0], naive[1], naive[2])
    shifted = stats_tell.histogram(np.array(values, dtype=np.float64) - 20, [0.0, 5.0, 10.0], clip=True)
    assert sum(shifted.counts) == len(values)


def test_captions_as_they_were_written(tmp_path: Path) -> None:
    pairs = open_pairs(str(write_corpus(tmp_path)))
    read = gathered([read_captions(pairs, np.arange(40, dtype=np.int64), lambda done: None)])
    found = stats_tell.captions(read, pairs)
    assert (found.pairs, found.captions, found.distinct) == (40, 50, 8)
    assert (found.common[0].text, found.common[0].count) == ("a dog", 10)
    assert found.repeated.share == 1.0
    assert found.over_context.count == 5
    assert found.noise["a file name"].count == 5
    assert found.growth.ys[-1] == pytest.approx(8)
    # first captions alone: "a dog" ten times, six others five times; a batch larger than the corpus is all
    assert found.batches[0].false_negatives == pytest.approx(10 * 9 + 6 * 5 * 4)
    assert sum(found.tokens.counts) == 50


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "image file is truncated (13 bytes not processed)",
            "image file is truncated (# bytes not processed)",
        ),
        ("'/a/b.jpg' cannot be read: No such file", "'…' cannot be read: No such file"),
    ],
)
def test_equal_reasons_count_together(reason: str, expected: str) -> None:
    assert stats_tell._kind_of(reason) == expected
