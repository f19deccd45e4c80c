from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightword.evaluation.measures import classification, share
from sightword.evaluation.ranking import best_hit, rank_classes


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
