from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colour_sets import ColourModel
from sklearn.neighbors import KNeighborsClassifier

from sightword.evaluation.benchmarks import Benchmark, LabelledSet, Labels, open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.heldout import held_out
from sightword.evaluation.knn import KNN, NEIGHBOURS, TEMPERATURE
from sightword.evaluation.linear import STRENGTHS, Linear
from sightword.evaluation.probe import taught
from sightword.evaluation.task import Task

PROBES = [KNN(), Linear()]


def blobs(n: int, classes: int, seed: int, apart: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = apart * np.random.default_rng(99).standard_normal((classes, 16))
    labels = generator.integers(0, classes, n)
    return (centres[labels] + generator.standard_normal((n, 16))).astype(np.float32), labels


def bare_set(labels: np.ndarray, split: str, groups: np.ndarray | None = None) -> LabelledSet:
    names = tuple(map(str, range(int(labels.max()) + 1)))
    of_groups = None if groups is None else Labels(tuple(map(str, range(int(groups.max()) + 1))), groups)
    keys = tuple(f"{split}{i}" for i in range(len(labels)))
    return LabelledSet("x", split, keys, lambda i: b"", classes=Labels(names, labels), groups=of_groups)


@pytest.fixture
def benchmark_of_colours(folder: Path) -> Benchmark:
    return open_benchmark(str(folder))


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probes_learn_colours(probe: Task, model: ColourModel, benchmark_of_colours: Benchmark) -> None:
    test, train = benchmark_of_colours.tests[0], benchmark_of_colours.train
    answer = probe.answer(FeatureStore(model, None), test, train)
    values = {m.metric: m.interval.value for m in answer.measured}
    assert values["acc1"] > 0.9
    assert answer.outcomes["key"].to_pylist() == list(test.keys)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probes_never_look_at_the_test_part(
    probe: Task, model: ColourModel, benchmark_of_colours: Benchmark
) -> None:
    test, train = benchmark_of_colours.tests[0], benchmark_of_colours.train
    honest = probe.answer(FeatureStore(model, None), test, train)
    rows = np.arange(7)
    labels = test.classes.of[rows][::-1].copy()
    lying = replace(
        test,
        keys=tuple(test.keys[i] for i in rows),
        read=lambda i: test.read(int(rows[i])),
        classes=Labels(test.classes.names, labels),
    )
    other = probe.answer(FeatureStore(model, None), lying, train)
    assert other.chosen == honest.chosen
    assert other.outcomes["predicted"].to_pylist() == honest.outcomes["predicted"].to_pylist()[:7]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probes_learn_once_for_all_test_splits(
    probe: Task, model: ColourModel, benchmark_of_colours: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, train = benchmark_of_colours.tests[0], benchmark_of_colours.train
    store = FeatureStore(model, None)
    first = probe.answer(store, test, train)
    monkeypatch.setattr(type(probe), "fit", None)
    assert probe.answer(store, test, train).outcomes.equals(first.outcomes)
    with pytest.raises(TypeError):
        probe.answer(FeatureStore(model, None), test, train)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probes_need_a_train_split_of_two_classes(
    probe: Task, model: ColourModel, benchmark_of_colours: Benchmark
) -> None:
    test, train = benchmark_of_colours.tests[0], benchmark_of_colours.train
    assert probe.refuses(ColourModel(has_text=False), test, train) == ""
    assert "no train split" in probe.refuses(model, test, None)
    single = replace(train, classes=Labels(train.classes.names, np.zeros(36, dtype=np.int64)))
    assert "one class" in probe.refuses(model, test, single)
    assert "no classes" in probe.refuses(model, replace(test, classes=None), train)


def test_held_out_is_a_fifth_of_every_label_and_always_the_same() -> None:
    labels = np.repeat(np.arange(4), [50, 20, 10, 1])
    train = bare_set(labels, "train")
    held = held_out(train, np.arange(81))
    assert [int(held[labels == c].sum()) for c in range(4)] == [10, 4, 2, 0]
    np.testing.assert_array_equal(held, held_out(train, np.arange(81)))


def test_held_out_keeps_clusters_whole() -> None:
    """Both eyes of a patient, whose labels may differ, lie on one side."""
    labels = Labels(("well", "ill"), np.array([0, 1, 0, 0] * 20))
    patients = tuple(f"patient {i // 2}" for i in range(80))
    train = LabelledSet("eyes", "train", tuple(map(str, range(80))), lambda i: b"", labels, clusters=patients)
    held = held_out(train, np.arange(80))
    assert (held[::2] == held[1::2]).all()
    assert 12 <= held.sum() <= 20


def test_held_out_keeps_classes_of_a_group_whole() -> None:
    classes = np.repeat(np.arange(40), 5)
    train = bare_set(classes, "train", groups=classes // 10)
    held = held_out(train, np.arange(200))
    by_class = held.reshape(40, 5)
    assert (by_class.all(axis=1) == by_class.any(axis=1)).all()
    assert [int(part.sum()) for part in held.reshape(4, 50)] == [10, 10, 10, 10]


def test_held_out_skips_unreadable_rows() -> None:
    train = bare_set(np.repeat(np.arange(2), 10), "train")
    rows = np.array([0, 2, 4, 6, 8, 11, 13, 15, 17, 19])
    assert held_out(train, rows).sum() == 2


def test_knn_agrees_with_scikit_learn() -> None:
    known, labels = blobs(200, 5, 0)
    asked, _ = blobs(60, 5, 1)
    logits = KNN().fit(known, labels, 5, {"k": 20})(asked).exp().numpy()
    unit = known / np.linalg.norm(known, axis=1, keepdims=True)
    peer = KNeighborsClassifier(
        20, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / TEMPERATURE)
    ).fit(unit, labels)
    np.testing.assert_allclose(logits, peer.predict_proba(asked), atol=1e-4)


def test_knn_chooses_one_neighbour_for_clean_pairs_and_many_for_noise() -> None:
    generator = np.random.default_rng(0)
    spots = generator.standard_normal((150, 16)).astype(np.float32)
    pairs, names = np.concatenate([spots, spots + 1e-3]), np.tile(generator.integers(0, 3, 150), 2)
    held = np.arange(300) >= 150
    assert KNN().choose(pairs, names, held, 3)["k"] == 1
    noisy, labels = blobs(400, 3, 2, apart=0.3)
    assert KNN().choose(noisy, labels, np.arange(400) % 5 == 0, 3)["k"] >= 10


def test_linear_probe_regularises_noise_more() -> None:
    noise, labels = blobs(200, 4, 3, apart=0.05)
    clear, of = blobs(200, 4, 4, apart=0.8)
    held = np.arange(200) % 5 == 0
    assert Linear().choose(clear, of, held, 4)["held_out_acc1"] > 0.85
    assert Linear().choose(noise, labels, held, 4)["held_out_acc1"] < 0.5
    assert Linear().choose(clear, of, held, 4)["c"] in STRENGTHS


def test_a_class_absent_from_training_is_never_predicted() -> None:
    known, labels = blobs(100, 2, 0)
    asked, _ = blobs(10, 2, 1)
    for probe, chosen in ((KNN(), {"k": 5}), (Linear(), {"c": 0.1})):
        logits = probe.fit(known, labels * 2, 3, chosen)(asked)
        assert (logits.argmax(1) != 1).all()
        assert (logits.softmax(1)[:, 1] == 0).all()


def test_knn_sweeps_only_what_there_is() -> None:
    known, labels = blobs(12, 2, 0)
    assert KNN().choose(known, labels, np.arange(12) < 3, 2)["k"] in [k for k in NEIGHBOURS if k <= 9]


def naive_knn(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, k: int, classes: int) -> np.ndarray:
    """One picture, one neighbour at a time."""
    shares = np.zeros((len(asked), classes))
    for i, picture in enumerate(asked.astype(np.float64)):
        cosines = [
            float(p @ picture / np.linalg.norm(p) / np.linalg.norm(picture)) for p in known.astype(np.float64)
        ]
        for j in sorted(range(len(known)), key=lambda j: -cosines[j])[:k]:
            shares[i, labels[j]] += np.exp(cosines[j] / TEMPERATURE)
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize("k", [1, 7, 40])
def test_knn_agrees_with_a_naive_one(k: int) -> None:
    known, labels = blobs(40, 3, 0)
    asked, _ = blobs(20, 3, 1)
    found = KNN().fit(known, labels, 3, {"k": k})(asked).exp().numpy()
    np.testing.assert_allclose(found, naive_knn(known, labels, asked, k, 3), atol=1e-5)


def test_knn_chooses_what_the_naive_one_would() -> None:
    noisy, labels = blobs(90, 3, 2, apart=0.3)
    held = np.arange(90) % 3 == 0
    right = {
        k: (naive_knn(noisy[~held], labels[~held], noisy[held], k, 3).argmax(1) == labels[held]).mean()
        for k in NEIGHBOURS
        if k <= 60
    }
    chosen = KNN().choose(noisy, labels, held, 3)
    assert chosen["held_out_acc1"] == pytest.approx(max(right.values()))
    assert chosen["k"] == min(k for k in right if right[k] == max(right.values()))


def with_validation(benchmark: Benchmark) -> Benchmark:
    """The first half of each colour to learn from, the second as the publisher's validation split."""
    train = benchmark.train
    assert train is not None
    assert train.classes is not None

    def part(name: str, rows: list[int]) -> LabelledSet:
        keys = tuple(train.keys[i] for i in rows)
        labels = Labels(train.classes.names, train.classes.of[rows])
        return LabelledSet(train.name, name, keys, lambda i: train.read(rows[i]), labels)

    rows = [[i for i in range(36) if (i % 6 < 3) == first] for first in (True, False)]
    return Benchmark(train.name, benchmark.tests, part("train", rows[0]), part("val", rows[1]))


def test_settings_are_chosen_on_the_publishers_validation_split(
    model: ColourModel, benchmark_of_colours: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = with_validation(benchmark_of_colours)
    assert benchmark.train is not None
    assert benchmark.train.validation is benchmark.validation
    _, labels, held = taught(FeatureStore(model, None), benchmark.train)
    assert held.tolist() == [False] * 18 + [True] * 18
    assert sorted(labels[held].tolist()) == sorted(labels[~held].tolist()) == sorted(list(range(6)) * 3)
    monkeypatch.setattr("sightword.evaluation.probe.held_out", None)
    for probe in PROBES:
        seen = []
        monkeypatch.setattr(
            type(probe), "choose", lambda self, f, o, h, c, seen=seen: seen.append(h) or {"k": 1, "c": 1.0}
        )
        learned = []
        real = type(probe).fit
        monkeypatch.setattr(
            type(probe),
            "fit",
            lambda self, k, o, c, x, r=real, n=learned: n.append(len(k)) or r(self, k, o, c, x),
        )
        probe.answer(FeatureStore(model, None), benchmark.tests[0], benchmark.train)
        np.testing.assert_array_equal(seen[0], held)
        assert learned == [36]  # from both, once settings are chosen


def test_the_protocol_says_on_what_was_chosen(model: ColourModel, benchmark_of_colours: Benchmark) -> None:
    test, own = benchmark_of_colours.tests[0], with_validation(benchmark_of_colours).train
    assert own is not None
    for probe in PROBES:
        assert (
            probe.protocol(model, test, benchmark_of_colours.train)["chosen_on"] == "0.2 of the train split"
        )
        facts = probe.protocol(model, test, own)
        assert facts["chosen_on"].startswith("the val split")
        assert facts["validation_data_hash"] == own.validation.data_hash  # type: ignore[union-attr]
