from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_sets import COLOURS, ColourModel, write_folder

from sightword.evaluation.benchmarks import Benchmark, Labels, open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.few_shot import UNSWEPT, FewShot, learn, places, starts


@pytest.fixture
def colours(tmp_path: Path) -> Benchmark:
    return open_benchmark(str(write_folder(tmp_path / "colours", each=8)))


def test_shots_are_nested_and_of_every_class() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 200)
    rows = np.arange(200)
    place = places(labels, rows, 0)
    for c in range(4):
        mine = place[labels == c]
        assert sorted(mine.tolist()) == list(range(len(mine)))
    few, more = set(np.flatnonzero(place < 2)), set(np.flatnonzero(place < 4))
    assert few < more
    np.testing.assert_array_equal(place, places(labels, rows, 0))
    assert (place != places(labels, rows, 1)).any()


def test_an_unreadable_picture_moves_no_other() -> None:
    labels = np.repeat(np.arange(3), 20)
    rows = np.arange(60)
    whole, without = places(labels, rows, 2), places(np.delete(labels, 7), np.delete(rows, 7), 2)
    later = np.delete(whole, 7) - without
    assert set(later[:19].tolist()) <= {0, 1}  # its class closes up
    assert (later[19:] == 0).all()


def test_the_first_place_is_drawn_evenly() -> None:
    first = [
        int(np.flatnonzero(places(np.zeros(10, dtype=np.int64), np.arange(10), d) == 0)[0])
        for d in range(400)
    ]
    counts = np.bincount(first, minlength=10)
    assert counts.min() > 20
    assert counts.max() < 65


def test_more_labels_are_better_and_text_helps_most_where_there_are_few(colours: Benchmark) -> None:
    model = ColourModel()
    answer = FewShot((1, 4), draws=3).answer(FeatureStore(model, None), colours.tests[0], colours.train)
    found = {m.metric: m for m in answer.measured}
    assert list(found) == ["acc1_4_shots", "acc1_1_shot", "acc1_4_shots_from_text", "acc1_1_shot_from_text"]
    assert found["acc1_4_shots"].interval.value >= found["acc1_1_shot"].interval.value > 0.5
    assert found["acc1_1_shot_from_text"].interval.value > 0.95
    assert answer.chosen["c"]["acc1_1_shot"] == [UNSWEPT] * 3
    shares = answer.outcomes["acc1_1_shot"].to_numpy()
    assert shares.mean() == pytest.approx(found["acc1_1_shot"].interval.value)
    assert set(np.round(shares * 3)) <= {0.0, 1.0, 2.0, 3.0}


def test_without_a_text_tower_learning_starts_from_nothing(colours: Benchmark) -> None:
    blind = ColourModel(has_text=False)
    assert starts(blind, colours.tests[0]) == ("nothing",)
    answer = FewShot((1,), draws=2).answer(FeatureStore(blind, None), colours.tests[0], colours.train)
    assert [m.metric for m in answer.measured] == ["acc1_1_shot"]
    assert "prompts_hash" not in FewShot().protocol(blind, colours.tests[0], colours.train)
    assert "prompts_hash" in FewShot().protocol(ColourModel(), colours.tests[0], colours.train)


def test_classes_with_too_few_examples_are_said(colours: Benchmark) -> None:
    assert colours.train is not None
    assert colours.train.classes is not None
    kept = [i for i in range(48) if not (colours.train.classes.of[i] == 2 and i % 8 > 2)]
    train = replace(
        colours.train,
        keys=tuple(colours.train.keys[i] for i in kept),
        read=lambda i: colours.train.read(kept[i]),  # type: ignore[union-attr]
        classes=Labels(colours.train.classes.names, colours.train.classes.of[kept]),
    )
    answer = FewShot((2, 4, 16), draws=2).answer(FeatureStore(ColourModel(), None), colours.tests[0], train)
    name = sorted(COLOURS)[2]
    assert answer.chosen["fewer_examples"]["4"] == {name: 3}
    assert "2" not in answer.chosen["fewer_examples"]
    assert answer.chosen["shots_left_out"] == [16]
    assert not any("16" in m.metric for m in answer.measured)


def test_what_is_learned_does_not_depend_on_the_test_part(colours: Benchmark) -> None:
    test = colours.tests[0]
    few = replace(
        test,
        keys=test.keys[:7],
        classes=Labels(test.classes.names, test.classes.of[:7][::-1].copy()),  # type: ignore[union-attr]
    )
    one = FewShot((2,), draws=2).answer(FeatureStore(ColourModel(), None), test, colours.train)
    other = FewShot((2,), draws=2).answer(FeatureStore(ColourModel(), None), few, colours.train)
    assert one.chosen == other.chosen


def test_with_nothing_to_learn_the_text_decides() -> None:
    """Features of noise: cross-validation must take a strong penalty, which leaves what the offset says."""
    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 8)
    offset = 10 * torch.nn.functional.one_hot(torch.from_numpy(labels), 3).float()
    noise = generator.standard_normal((24, 20)).astype(np.float32)
    fitted, strength = learn(noise, labels, np.repeat(np.arange(8), 3), offset)
    asked = generator.standard_normal((300, 20)).astype(np.float32)
    of = generator.integers(0, 3, 300)
    told = 10 * torch.nn.functional.one_hot(torch.from_numpy(of), 3).float()
    assert (fitted.scores(asked, 3, told).argmax(1).numpy() == of).mean() > 0.99
    assert strength < 1e-2
