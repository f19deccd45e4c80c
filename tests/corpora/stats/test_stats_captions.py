"""Captions read in ranges."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from tiny_corpus import CAPTIONS, LONG, samples, write_corpus

from sightword.corpora.stats.captions import gathered, read_captions
from sightword.pairs.sources import open_pairs
from sightword.pairs.words.tokenizer import ClipTokenizer


def test_parts_in_any_order_are_the_whole(tmp_path: Path) -> None:
    pairs = open_pairs(str(write_corpus(tmp_path)))
    every = np.arange(40, dtype=np.int64)
    whole = read_captions(pairs, every, lambda done: None)
    parts = [read_captions(pairs, every[start : start + 7], lambda done: None) for start in range(0, 40, 7)]
    found = gathered(parts[::-1])
    assert found.rows.tolist() == whole.rows.tolist()
    assert found.words == whole.words
    assert found.noise_examples == whole.noise_examples
    assert vars(found).keys() == vars(whole).keys()
    assert (found.pairs, found.per_picture, found.splits) == (40, {1: 30, 2: 10}, {"train": 32, "test": 8})


def test_counts_are_those_of_the_captions(tmp_path: Path) -> None:
    pairs = open_pairs(str(write_corpus(tmp_path)))
    found = read_captions(pairs, np.arange(40, dtype=np.int64), lambda done: None)
    texts = [caption for sample in samples() for caption in sample.captions]
    assert found.rows["characters"].tolist() == [len(text.strip()) for text in texts]
    assert found.words["dog"] == 10
    assert found.scripts["Cyrillic"] == 5
    same = Counter(found.rows["hash"].tolist())
    assert sorted(same.values()) == [5, 5, 5, 5, 5, 5, 10, 10]  # "a dog" and "A  dog" are one
    wide = ClipTokenizer(1000)([LONG, CAPTIONS[0]]).lengths.tolist()
    assert {wide[0], wide[1]} <= set(found.rows["tokens"].tolist())
    assert wide[0] == 102
    assert int((found.rows["tokens"] > 77).sum()) == 5
