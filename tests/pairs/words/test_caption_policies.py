from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightword.pairs.sample import Sample, Text
from sightword.pairs.words.captions import captions_of, choose, choose_all
from sightword.pairs.words.tokenizer import ClipTokenizer

FIVE = Text("k", ("a cat", "a cat on a mat", "one two three four five", "a cat", "cat"), {})
PHOTO = Text("k", ("Rome",), {"title": "Rome", "description": ""})
POLICIES = ["first", "uniform", "longest", "mixture", "title-or-description"]
TOTAL = 12_000


def _shares(sample: Text, policy: str) -> Counter[str]:
    return Counter(choose_all([sample] * TOTAL, policy, 0, np.arange(TOTAL), 3, 1))


def _within(found: int, share: float) -> bool:
    return abs(found - share * TOTAL) < 5 * (TOTAL * share * (1 - share)) ** 0.5


def test_first_and_label_are_the_first_caption():
    assert set(_shares(FIVE, "first")) == set(_shares(FIVE, "label")) == {"a cat"}


def test_longest_has_the_most_words_and_is_the_first_of_equals():
    assert set(_shares(FIVE, "longest")) == {"a cat on a mat"}


def test_uniform_counts_a_caption_that_is_listed_twice_twice():
    shares = _shares(FIVE, "uniform")
    assert _within(shares["a cat"], 2 / 5)
    assert all(_within(shares[text], 1 / 5) for text in ("a cat on a mat", "one two three four five", "cat"))


def test_mixture_gives_half_to_the_pictures_own_caption():
    shares = _shares(Text("k", ("own", "b", "c", "d"), {}), "mixture")
    assert _within(shares["own"], 1 / 2)
    assert all(_within(shares[text], 1 / 6) for text in "bcd")


def test_title_or_description_are_equally_likely_and_may_be_empty():
    shares = _shares(PHOTO, "title-or-description")
    assert set(shares) == {"Rome", ""}
    assert _within(shares[""], 1 / 2)


def test_a_sample_without_title_and_description_is_chosen_from_its_captions():
    assert set(_shares(FIVE, "title-or-description")) == set(FIVE.captions)
    assert set(_shares(Text("k", ("a",), {"title": 3, "description": "b"}), "title-or-description")) == {"b"}


def test_an_empty_caption_is_the_two_marks_alone():
    tokenizer = ClipTokenizer(context=8)
    words = tokenizer([choose(Text("k", (), {}), "uniform", 0, 1, 0, 0)])
    assert words.lengths.tolist() == [2]
    assert words.ids[0, :2].tolist() == [tokenizer.sot, tokenizer.eot]


def test_the_label_that_zero_shot_evaluation_asks_for_is_still_the_first_caption():
    assert FIVE.caption == "a cat"
    assert Sample("k", FIVE.captions, {}, b"").caption == "a cat"


texts = st.lists(st.text(max_size=5), max_size=4).map(tuple)
fields = st.dictionaries(
    st.sampled_from(["title", "description", "tags"]), st.text(max_size=4) | st.integers() | st.none()
)


@pytest.mark.parametrize("policy", POLICIES)
@given(captions=texts, fields=fields, seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_what_is_chosen_is_listed_and_alone_as_in_a_batch(policy, captions, fields, seed, epoch):
    sample = Text("k", captions, fields)
    ids = np.array([5, 2**40, 5])
    chosen = choose_all([sample, FIVE, sample], policy, seed, ids, epoch, 0)
    assert chosen[0] == chosen[2] == choose(sample, policy, seed, 5, epoch, 0)
    listed = captions_of(sample, policy)
    assert chosen[0] in listed
    assert len(set(listed)) == len(listed)


def test_every_listed_text_is_met():
    for policy in POLICIES:
        assert set(_shares(FIVE, policy)) == set(captions_of(FIVE, policy))
        assert set(_shares(PHOTO, policy)) == set(captions_of(PHOTO, policy))


def test_the_epoch_of_each_sample_counts():
    epochs = np.array([0, 1, 2, 3, 4, 5, 6, 7])
    batch = choose_all([FIVE] * 8, "uniform", 1, np.full(8, 9), epochs, 0)
    assert batch == [choose(FIVE, "uniform", 1, 9, int(epoch), 0) for epoch in epochs]
    assert len(set(batch)) > 1
