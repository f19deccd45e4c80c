from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from colour_sets import ColourModel, square, write_tar

from sightword.errors import SightwordError
from sightword.evaluation.compare import compare_runs
from sightword.evaluation.differences import difference
from sightword.evaluation.outcomes import About, Outcomes, classification_table
from sightword.evaluation.ranking import Ranked
from sightword.evaluation.run import evaluate
from sightword.statistics import mcnemar


def outcomes(right: np.ndarray, labels: np.ndarray, clusters: list[str] | None = None) -> Outcomes:
    top = np.stack([np.where(right, labels, labels + 1), labels + 2], axis=1)
    ranked = Ranked(np.where(right, 1, 3), top, np.ones_like(top, dtype=np.float32))
    keys = [f"k{i:03d}" for i in range(len(right))]
    about = About("x", "test", "zeroshot", "p", "w", "d")
    return Outcomes(about, tuple("abcdefgh"), classification_table(keys, labels, ranked, clusters or []))


def test_difference_is_paired_and_matched_by_key() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 200)
    first, second = generator.random(200) < 0.4, generator.random(200) < 0.6
    one, other = outcomes(first, labels), outcomes(second, labels)
    order = pa.array(generator.permutation(200))
    mixed = Outcomes(other.about, other.names, other.table.take(order))
    found = difference(one, mixed, "acc1")
    assert found == difference(one, other, "acc1")
    assert found.difference.value == pytest.approx(second.mean() - first.mean())
    assert (found.first, found.second, found.n) == (first.mean(), second.mean(), 200)
    assert found.difference.low < found.difference.value < found.difference.high
    assert found.p == mcnemar(first, second)


def test_every_metric_is_compared_by_its_own_ranks() -> None:
    labels = np.arange(40) % 4
    right = np.arange(40) < 20
    found = difference(outcomes(right, labels), outcomes(~right, labels), "acc5")
    assert (found.first, found.second) == (1.0, 1.0)  # rank 3 is within five
    sizes = np.repeat([0, 1], [30, 10])
    by_class = difference(outcomes(sizes == 1, sizes), outcomes(sizes == 0, sizes), "mean_per_class_recall")
    assert (by_class.first, by_class.second) == (0.5, 0.5)


def test_clusters_widen_the_difference() -> None:
    generator = np.random.default_rng(1)
    first, second = np.repeat(generator.random((2, 40)) < 0.5, 5, axis=1)
    labels, names = np.zeros(200, dtype=np.int64), [str(i // 5) for i in range(200)]
    alone = difference(outcomes(first, labels), outcomes(second, labels), "acc1").difference
    together = difference(outcomes(first, labels, names), outcomes(second, labels, names), "acc1").difference
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


@pytest.fixture
def runs(folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    good, bad = tmp_path / "good", tmp_path / "bad"
    evaluate(ColourModel(), good, [str(folder)], ["zeroshot", "knn"])
    evaluate(ColourModel(blur=0.9, weights_hash="w1"), bad, [str(folder)], ["zeroshot", "linear"])
    return bad, good


def test_runs_are_compared_on_what_they_share(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs)
    assert [(d.task, d.metric) for d in found] == [
        ("zeroshot", metric) for metric in ("acc1", "acc5", "mean_per_class_recall")
    ]
    assert found[0].second == 1.0 > found[0].first
    assert found[0].difference.low > 0
    assert found[0].p <= found[0].adjusted < 0.01
    assert "zeroshot acc1" in found[0].line()
    assert all(d.difference.value == 0 and d.p in (None, 1.0) for d in compare_runs(runs[0], runs[0]))


def test_retrieval_is_compared_in_both_directions(tmp_path: Path) -> None:
    samples = [(c, {"png": square(c, 1), "txt": f"a {c} thing".encode()}) for c in ("red", "blue", "green")]
    tar = str(write_tar(tmp_path / "r.tar", samples))
    evaluate(ColourModel(), tmp_path / "a", [tar], ["retrieval"])
    evaluate(ColourModel(blur=3, weights_hash="w1"), tmp_path / "b", [tar], ["retrieval"])
    found = {d.metric: d for d in compare_runs(tmp_path / "b", tmp_path / "a")}
    assert set(found) == {f"{side}_retrieval_recall@{k}" for side in ("text", "image") for k in (1, 5, 10)}
    assert found["image_retrieval_recall@1"].second == 1.0
    assert found["image_retrieval_recall@5"].difference.value == 0.0


def test_other_data_or_protocol_is_refused(runs: tuple[Path, Path], folder: Path, tmp_path: Path) -> None:
    bad, good = runs
    (folder / "templates.txt").write_text("one {}\n")
    evaluate(ColourModel(), good, [str(folder)], ["zeroshot"])
    with pytest.raises(SightwordError, match="different protocol"):
        compare_runs(bad, good)
    (folder / "templates.txt").unlink()
    (folder / "test" / "red" / "0.png").write_bytes(square("red", 5))
    evaluate(ColourModel(), good, [str(folder)], ["zeroshot"])
    with pytest.raises(SightwordError, match="different data"):
        compare_runs(bad, good)


def test_nothing_shared_or_damaged_is_said(runs: tuple[Path, Path], tmp_path: Path) -> None:
    bad, good = runs
    with pytest.raises(SightwordError, match="there is no run in"):
        compare_runs(bad, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SightwordError, match="share no outcomes"):
        compare_runs(bad, tmp_path / "empty")
    copy = Path(shutil.copytree(good, tmp_path / "copy"))
    (copy / "outcomes" / "colours-test-zeroshot.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(SightwordError, match="holds no outcomes"):
        compare_runs(bad, copy)
