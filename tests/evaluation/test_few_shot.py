from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_sets import COLOURS, ColourModel, write_folder

from sightword.evaluation.benchmarks import Benchmark, Labels, open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.few_shot import GAIN, UNSWEPT, FewShot, learn, places, share_of_text, starts


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
    fitted, strength, share = learn(noise, labels, np.repeat(np.arange(8), 3), offset)
    asked = generator.standard_normal((300, 20)).astype(np.float32)
    of = generator.integers(0, 3, 300)
    told = share * 10 * torch.nn.functional.one_hot(torch.from_numpy(of), 3).float()
    assert (fitted.scores(asked, 3, told).argmax(1).numpy() == of).mean() > 0.99
    assert strength < 1e-2


def naive_share(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """By trying ten thousand shares, one example at a time: the likeliest, and the nats that it gains."""
    shares = np.linspace(0.0, 1.0, 10_001)
    total = np.zeros_like(shares)
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        scaled = shares[:, None] * (row - row[label])
        total -= np.log(np.exp(scaled).sum(axis=1))
    return float(shares[total.argmax()]), float(total.max() - total[0])


@pytest.mark.parametrize("truth", [0.0, 0.5, 2.0, 30.0])
def test_the_share_of_the_text_is_the_likeliest_one(truth: float) -> None:
    generator = np.random.default_rng(int(10 * truth))
    for n in (5, 40, 200):
        labels = generator.integers(0, 5, n)
        logits = generator.standard_normal((n, 5)) * 6.0
        logits[np.arange(n), labels] += truth
        expected, gain = naive_share(logits, labels)
        found = share_of_text(torch.from_numpy(logits), labels)
        assert found == pytest.approx(expected if gain > GAIN else 0.0, abs=3e-4)


def test_text_at_chance_is_taken_in_one_draw_of_forty_four() -> None:
    generator = np.random.default_rng(3)
    taken = [
        share_of_text(torch.from_numpy(20.0 * generator.standard_normal((40, 8))), np.arange(40) % 8) > 0
        for _ in range(400)
    ]
    assert 0.002 < np.mean(taken) < 0.05


def few(shots: int, known: float, informed: float, seed: int) -> tuple[float, float]:
    """The accuracy of what is learned of twelve classes from nothing, and from text.

    `known` is how far apart the classes' features lie, `informed` how much the text's logits, which are sure
    of themselves as a hundred times a cosine is, lean to the right class.
    """
    generator = np.random.default_rng(seed)
    centres = known * generator.standard_normal((12, 30))
    labels = np.concatenate([np.tile(np.arange(12), shots), generator.integers(0, 12, 600)])
    features = (centres[labels] + generator.standard_normal((len(labels), 30))).astype(np.float32)
    logits = 8.0 * generator.standard_normal((len(labels), 12))
    logits[np.arange(len(labels)), labels] += informed
    told, n = torch.from_numpy(logits).float(), 12 * shots
    accuracy = []
    for offset in (None, told):
        place = np.repeat(np.arange(shots), 12)
        found = learn(features[:n], labels[:n], place, None if offset is None else offset[:n])
        scores = found.fitted.scores(features[n:], 12, None if offset is None else found.share * offset[n:])
        accuracy.append(float((scores.argmax(dim=1).numpy() == labels[n:]).mean()))
    return accuracy[0], accuracy[1]


@pytest.mark.parametrize(("shots", "seeds"), [(1, 20), (4, 3)])
def test_text_at_chance_costs_nothing_and_good_text_helps(shots: int, seeds: int) -> None:
    """Sure and wrong logits, a hundred times a cosine, would leave one shot near chance."""
    nothing, bad = np.mean([few(shots, 0.6, 0.0, seed) for seed in range(seeds)], axis=0)
    assert nothing > 0.3
    assert bad > nothing - 0.03
    nothing, good = np.mean([few(shots, 0.25, 14.0, seed) for seed in range(seeds)], axis=0)
    assert good > nothing + 0.1
