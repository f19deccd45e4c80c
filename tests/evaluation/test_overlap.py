from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from sightword.evaluation.overlap import Overlap, counted, mean_iou, measured


def cases(seed: int, pictures: int = 6, classes: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    generator = np.random.default_rng(seed)
    true = [
        generator.integers(-1, classes - 1, generator.integers(3, 12, 2)) for _ in range(pictures)
    ]  # one is absent
    said = [
        np.where(generator.random(t.shape) < 0.6, t, generator.integers(0, classes, t.shape)).clip(0)
        for t in true
    ]
    return said, true


def overlap_of(said: list[np.ndarray], true: list[np.ndarray], classes: int = 5) -> Overlap:
    return Overlap(*np.stack([counted(s, t, classes) for s, t in zip(said, true, strict=True)], axis=1))


@pytest.mark.parametrize("seed", range(8))
def test_metrics_are_scikit_learns(seed: int) -> None:
    said, true = cases(seed)
    found = {m.metric: m for m in measured(overlap_of(said, true))}
    s, t = (np.concatenate([part.ravel() for part in parts]) for parts in (said, true))
    s, t = s[t >= 0], t[t >= 0]
    present = np.union1d(s, t)
    assert found["miou"].interval.value == pytest.approx(jaccard_score(t, s, labels=present, average="macro"))
    assert found["pixel_accuracy"].interval.value == pytest.approx(accuracy_score(t, s))
    table = confusion_matrix(t, s, labels=range(5))
    shares = [table[c, c] / (table[c].sum() + table[:, c].sum() - table[c, c]) for c in present]
    assert found["miou"].interval.value == pytest.approx(np.mean(shares))
    own = []
    for a, b in zip(said, true, strict=True):
        a, b = a[b >= 0], b[b >= 0]
        own.append(jaccard_score(b, a, labels=np.union1d(a, b), average="macro"))
    assert found["picture_miou"].interval.value == pytest.approx(np.mean(own))
    assert found["miou"].n == 6


def test_intervals_are_over_pictures() -> None:
    said, true = cases(1, pictures=1)
    alike = measured(overlap_of(said * 20, true * 20))[0].interval
    assert alike.low == pytest.approx(alike.value) == pytest.approx(alike.high)
    said, true = cases(2, pictures=60)
    wide, narrow = (measured(overlap_of(said[:n], true[:n]))[0].interval for n in (15, 60))
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_nothing_said_or_true_is_no_class() -> None:
    both, union = np.array([2.0, 0.0, 1.0]), np.array([4.0, 0.0, 1.0])
    assert float(mean_iou(both, union)) == pytest.approx(0.75)
    assert float(mean_iou(np.zeros(3), np.zeros(3))) == 0
