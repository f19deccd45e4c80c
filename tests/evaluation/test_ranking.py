from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from sightword.evaluation.measures import (
    Measured,
    classification,
    clusters_in,
    credit,
    half_and_half,
    headline,
    own,
    share,
)
from sightword.evaluation.outcomes import classification_table
from sightword.evaluation.ranking import best_hit, join, rank_classes
from sightword.statistics import Interval


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 10**6), st.booleans())
def test_ranks_as_a_sorted_list_has_them(n: int, classes: int, seed: int, ties: bool) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.integers(0, 3, (n, classes)) if ties else generator.standard_normal((n, classes))
    labels = generator.integers(0, classes, n)
    ranked = rank_classes(torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(labels))
    for i in range(n):
        order = sorted(range(classes), key=lambda c: (-logits[i, c], c))
        assert ranked.rank[i] == order.index(labels[i]) + 1
        assert ranked.top[i].tolist() == order[:5]
        shares = np.exp(logits[i]) / np.exp(logits[i]).sum()
        np.testing.assert_allclose(ranked.probability[i], shares[order[:5]], rtol=1e-4)


def test_what_is_no_number_is_ranked_as_torch_sorts_it() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 12, generator=generator).masked_fill(
        torch.rand(40, 12, generator=generator) < 0.2, torch.nan
    )
    logits[7], logits[8, :3] = -torch.inf, torch.inf
    labels = torch.arange(40) % 12
    order = logits.argsort(dim=1, descending=True, stable=True)
    ranked = rank_classes(logits, labels)
    assert ranked.rank.tolist() == ((order == labels[:, None]).int().argmax(dim=1) + 1).tolist()
    assert ranked.top.tolist() == order[:, :5].tolist()


def test_a_collapsed_model_is_right_by_chance() -> None:
    labels = torch.arange(20) % 10
    ranked = rank_classes(torch.zeros(20, 10), labels)
    measured = {m.metric: m.interval.value for m in classification(ranked.rank, labels.numpy(), 10)}
    assert measured == pytest.approx({"acc1": 0.1, "acc5": 0.5, "mean_per_class_recall": 0.1})


def test_best_hit_of_several() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.4]])
    rank, top = best_hit(scores, torch.tensor([[True, False, False, True]]))
    assert rank.tolist() == [3]
    assert top.tolist() == [[1, 2, 3, 0]]


def test_metrics_by_hand() -> None:
    ranks, labels = np.array([1, 1, 1, 2, 6, 1]), np.array([0, 0, 0, 0, 1, 1])
    measured = {m.metric: m for m in classification(ranks, labels, 6)}
    assert measured["acc1"].interval.value == 4 / 6
    assert measured["acc5"].interval.value == 5 / 6
    assert measured["mean_per_class_recall"].interval.value == (3 / 4 + 1 / 2) / 2
    assert all(m.n == 6 and m.interval.low < m.interval.value < m.interval.high for m in measured.values())


def test_acc5_needs_five_classes() -> None:
    few = classification(np.array([1, 2]), np.array([0, 1]), 4)
    assert [m.metric for m in few] == ["acc1", "mean_per_class_recall"]


def test_clusters_widen_the_interval() -> None:
    right = np.repeat(np.random.default_rng(0).random(60) < 0.5, 5)
    names = [str(i) for i in np.repeat(np.arange(60), 5)]
    alone, together = share("acc1", right), share("acc1", right, names)
    assert together.n == alone.n == 300
    assert together.interval.high - together.interval.low > 1.8 * (alone.interval.high - alone.interval.low)


def test_all_wrong_is_not_certainly_all_wrong() -> None:
    wrong = np.zeros(50, dtype=np.bool_)
    names = [str(i // 5) for i in range(50)]
    interval = share("acc1", wrong, names).interval
    assert interval.low == 0.0
    assert 0.25 < interval.high < 0.35  # ten clusters: Wilson's 0 of 10 ends at 0.278


def _draw(n: int, classes: int, seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores of classes, some of which no example has, and true classes."""
    generator = np.random.default_rng(seed)
    present = generator.permutation(classes)[: generator.integers(1, classes + 1)]
    labels = generator.choice(present, n)
    scores = generator.integers(0, 3, (n, classes)) if ties else generator.standard_normal((n, classes))
    return scores.astype(np.float32), labels.astype(np.int64)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
@given(st.integers(2, 40), st.integers(3, 12), st.integers(0, 10**6), st.booleans())
def test_metrics_are_scikit_learns(n: int, classes: int, seed: int, ties: bool) -> None:
    scores, labels = _draw(n, classes, seed, ties)
    ranked = rank_classes(torch.from_numpy(scores), torch.from_numpy(labels))
    measured = {m.metric: m.interval.value for m in classification(ranked.rank, labels, classes)}
    predicted = scores.argmax(axis=1)
    assert measured["acc1"] == pytest.approx(accuracy_score(labels, predicted))
    assert measured["mean_per_class_recall"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    if classes > 5:
        # Of equal scores scikit-learn's top k prefers the last class: turned round, it is ours.
        turned = top_k_accuracy_score(
            classes - 1 - labels, scores[:, ::-1], k=5, labels=np.arange(classes), normalize=True
        )
        assert measured["acc5"] == pytest.approx(turned)
        table = classification_table([str(i) for i in range(n)], labels, ranked, [])
        both = own("mean_acc1_acc5", table)
        assert both is not None
        assert both.interval.value == pytest.approx((measured["acc1"] + measured["acc5"]) / 2)
        assert both.interval.low <= both.interval.value <= both.interval.high


def test_a_binary_sets_own_score_is_a_difference_of_logits() -> None:
    """Probabilities of these are all exactly 1 in float32; their order is that of the logits."""
    logits = torch.tensor([[0.0, 60.0], [0.0, 90.0], [0.0, 70.0], [10.0, 60.0]])
    labels = torch.tensor([0, 1, 1, 0])
    ranked = join([rank_classes(logits[rows], labels[rows]) for rows in (slice(0, 3), slice(3, 4))])
    assert np.unique(ranked.probability[:, 0]).tolist() == [1.0]
    assert ranked.score.tolist() == [60.0, 90.0, 70.0, 50.0]
    table = classification_table(list("abcd"), labels.numpy(), ranked, [])
    found = own("roc_auc", table)
    assert found is not None
    assert (found.interval.value, found.n) == (1.0, 4)
    assert found.interval.low < 0.9
    assert own("roc_auc", table.slice(1, 2)) is None  # positives alone
    assert own("acc1", table) is None
    assert rank_classes(torch.zeros(2, 3), torch.tensor([0, 1])).score is None


def test_kinetics_counts_half_for_the_first_five() -> None:
    ranks = np.array([1, 3, 6, 1])
    assert half_and_half(ranks).tolist() == [1.0, 0.5, 0.0, 1.0]
    found = credit("mean_acc1_acc5", half_and_half(np.array([3] * 40)))
    assert (found.interval.value, found.method) == (0.5, "wilson")
    assert 0.3 < found.interval.low < 0.4
    names = [str(i // 4) for i in range(40)]
    together = credit("mean_acc1_acc5", half_and_half(np.array([3] * 40)), names)
    assert together.interval.low < found.interval.low


def test_one_metric_stands_for_an_answer() -> None:
    def measured(*names: str) -> list[Measured]:
        return [Measured(name, Interval(0.0, 0.0, 0.0), 1, "") for name in names]

    plain = measured("acc1", "acc5", "mean_per_class_recall")
    assert headline("mean_per_class_recall", plain) == "mean_per_class_recall"
    assert headline("roc_auc", plain) == "acc1"
    sides = measured(*(f"{side}_retrieval_recall@{k}" for side in ("text", "image") for k in (1, 5, 10)))
    assert headline("acc1", sides) == "image_retrieval_recall@5"


def test_clusters_of_one_are_none() -> None:
    labels = np.array([0, 1, 0])
    ranked = rank_classes(torch.eye(3), torch.from_numpy(labels))
    tables = [
        classification_table(list("abc"), labels, ranked, names) for names in ([], list("xyz"), list("xxz"))
    ]
    assert [clusters_in(table) for table in tables] == [[], [], ["x", "x", "z"]]
