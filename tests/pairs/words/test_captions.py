from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sightword.pairs.sample import Sample, Text
from sightword.pairs.words.captions import captions_of, choose, choose_all

FIELDS = {"tags": ["happy", "smile", " ", "joy", "smile"], "i18n": {"de": "Gesicht", "fr": "visage", "x": 3}}
FACE = Sample("k", ("face",), FIELDS)
BARE = Text("k", ("face",), {})
POLICIES = ["label", "label-tags", "label-tags-languages"]


def test_captions_of_lists_every_text_once():
    assert captions_of(FACE, "label") == ["face"]
    assert captions_of(FACE, "label-tags") == ["face", "happy", "smile", "joy"]
    assert captions_of(FACE, "label-tags-languages") == ["face", "happy", "smile", "joy", "Gesicht", "visage"]
    assert captions_of(BARE, "label-tags-languages") == ["face"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_choice_is_made_of_captions_of(policy):
    allowed = set(captions_of(FACE, policy))
    for epoch in range(200):
        parts = choose(FACE, policy, 0, 7, epoch, 0).split(", ")
        assert set(parts) <= allowed
        assert parts[0] == "face" or len(parts) == 1
        assert len(parts) <= 4


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "fields",
    [{}, {"tags": 3}, {"tags": [], "i18n": []}, {"tags": [None, {}], "i18n": {"de": ""}}, {"tags": None}],
)
def test_strange_fields_leave_the_label(policy, fields):
    chosen = {choose(Text("k", ("face",), fields), policy, 0, 1, epoch, 0) for epoch in range(30)}
    assert chosen == {"face"}


def test_tags_in_one_string_are_cut_at_commas():
    assert captions_of(Text("k", ("face",), {"tags": "happy, joy"}), "label-tags") == ["face", "happy", "joy"]


def test_a_batch_is_chosen_as_its_samples_alone():
    samples = [FACE, BARE, FACE, Sample("b", ("cat",), {"tags": ["pet"]})]
    ids = np.array([3, 1, 2**40, 0])
    for policy in POLICIES:
        for epoch in range(20):
            alone = [
                choose(sample, policy, 5, int(id), epoch, 1) for sample, id in zip(samples, ids, strict=True)
            ]
            assert choose_all(samples, policy, 5, ids, epoch, 1) == alone


def test_choices_change_with_seed_id_epoch_and_draw():
    def choices(seed: int, id: int, draw: int) -> list[str]:
        return [choose(FACE, "label-tags", seed, id, epoch, draw) for epoch in range(60)]

    assert choices(0, 1, 0) == choices(0, 1, 0)
    assert len(set(choices(0, 1, 0))) > 5
    assert choices(0, 1, 0) != choices(1, 1, 0)
    assert choices(0, 1, 0) != choices(0, 2, 0)
    assert choices(0, 1, 0) != choices(0, 1, 1)


def _within(found: int, share: float, total: int) -> bool:
    return abs(found - share * total) < 5 * (total * share * (1 - share)) ** 0.5


def test_shares_are_as_documented():
    total = 8000
    samples, ids = [FACE] * total, np.arange(total)
    with_tags = choose_all(samples, "label-tags", 0, ids, 0, 0)
    assert _within(with_tags.count("face"), 1 / 2, total)
    lengths = Counter(len(text.split(", ")) for text in with_tags)
    assert all(_within(lengths[length], 1 / 6, total) for length in (2, 3, 4))
    firsts = Counter(text.split(", ")[1] for text in with_tags if ", " in text)
    assert firsts["smile"] > firsts["joy"] > 0  # listed twice, drawn twice as often
    spoken = choose_all(samples, "label-tags-languages", 0, ids, 0, 0)
    assert _within(spoken.count("face"), 1 / 2, total)
    assert _within(spoken.count("Gesicht"), 1 / 8, total)
    assert _within(spoken.count("visage"), 1 / 8, total)
