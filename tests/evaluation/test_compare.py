from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from colour_sets import ColourModel, square, write_folder, write_tar
from published_sets import described, small_suite
from sklearn.metrics import roc_auc_score

from sightword.errors import SightwordError
from sightword.evaluation.compare import Comparison, compare, compare_runs, is_shown
from sightword.evaluation.differences import difference
from sightword.evaluation.outcomes import About, Outcomes, classification_table
from sightword.evaluation.ranking import Ranked
from sightword.evaluation.run import evaluate
from sightword.statistics import holm, mcnemar


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


def binary(scores: np.ndarray, labels: np.ndarray, clusters: list[str] | None = None) -> Outcomes:
    right = (scores > 0) == (labels == 1)
    top = np.where(scores > 0, 1, 0)
    ranked = Ranked(
        np.where(right, 1, 2), np.stack([top, 1 - top], 1), np.ones((len(labels), 2), np.float32), scores
    )
    keys = [f"k{i:03d}" for i in range(len(labels))]
    about = About("x", "test", "zeroshot", "p", "w", "d")
    return Outcomes(about, ("a", "b"), classification_table(keys, labels, ranked, clusters or []), "roc_auc")


def test_areas_are_compared_by_scores() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 150)
    shared = generator.standard_normal(150)
    first, second = (shared + labels * gain + 0.3 * generator.standard_normal(150) for gain in (0.2, 1.2))
    one, other = binary(first, labels), binary(second, labels)
    found = difference(one, other, "roc_auc")
    assert (found.first, found.second) == pytest.approx(
        (roc_auc_score(labels, first), roc_auc_score(labels, second))
    )
    assert found.difference.value == pytest.approx(found.second - found.first)
    assert (found.interval, found.test, found.headline) == ("delong", "delong", True)
    assert found.difference.low > 0
    assert found.p < 1e-6
    order = pa.array(generator.permutation(150))
    assert difference(one, replace(other, table=other.table.take(order)), "roc_auc") == found
    names = [str(i // 3) for i in range(150)]
    assert difference(binary(first, labels, names), binary(second, labels, names), "roc_auc").test.endswith(
        "over clusters"
    )


def test_means_over_classes_and_of_top_1_and_5_have_a_test() -> None:
    generator = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], [100, 20, 10])
    first, second = generator.random(130) < 0.4, generator.random(130) < 0.75
    one, other = outcomes(first, labels), outcomes(second, labels)
    by_class = difference(one, other, "mean_per_class_recall")
    means = [np.mean([right[labels == c].mean() for c in range(3)]) for right in (first, second)]
    assert (by_class.first, by_class.second) == pytest.approx(means)
    assert by_class.difference.value == pytest.approx(means[1] - means[0])
    assert (by_class.interval, by_class.test) == ("normal", "sign flips")
    assert by_class.p < 0.01
    both = difference(one, other, "mean_acc1_acc5")
    assert both.first == pytest.approx((first.mean() + 1) / 2)  # a wrong one has rank 3
    assert both.difference.value == pytest.approx((second.mean() - first.mean()) / 2)
    assert both.p == pytest.approx(1e-5, rel=0.01)  # McNemar's is smaller than 100,000 draws can tell
    assert mcnemar(first, second) < 1e-6


def test_what_is_no_ranking_is_compared_by_its_columns() -> None:
    generator = np.random.default_rng(0)
    tables = [
        pa.table({"key": [f"{i:03d}" for i in range(90)], "cluster": [str(i // 2) for i in range(90)],
                  "vqa_accuracy": generator.choice([0, 0.3, 0.6, 1.0], 90) + gain})
        for gain in (0.0, 0.2)
    ]  # fmt: skip
    about = About("x", "test", "vqa", "p", "w", "d")
    one, other = (Outcomes(about, (), table, "vqa_accuracy", ("vqa_accuracy", "other")) for table in tables)
    found = difference(one, other, "vqa_accuracy")
    assert found.first == pytest.approx(tables[0]["vqa_accuracy"].to_numpy().mean())
    assert found.test == "sign flips over clusters"
    assert found.difference.low < found.difference.value < found.difference.high


@pytest.fixture(scope="module")
def suite_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A blurred and a sharp model on four sets of the SLIP suite and one that is in none."""
    folder = tmp_path_factory.mktemp("compared")
    places = [*small_suite(folder), str(write_folder(folder / "colours"))]
    bad, good = folder / "bad", folder / "good"
    evaluate(ColourModel(blur=0.9, weights_hash="w1"), bad, places, ["zeroshot"])
    evaluate(ColourModel(blur=0.2), good, places, ["zeroshot"])
    return bad, good


@pytest.fixture(scope="module")
def compared(suite_runs: tuple[Path, Path]) -> Comparison:
    return compare(*suite_runs)


def test_one_correction_over_everything(compared: Comparison) -> None:
    every = [*compared.differences, *compared.means]
    assert compared.compared == len(every) == 2 + 3 + 4 + 3 + 3 + 2
    assert [one.adjusted for one in every] == holm([one.p for one in every])
    own = {one.dataset: one.metric for one in compared.differences if one.headline}
    assert own["hateful_memes"] == "roc_auc"
    assert own["kinetics700_frames"] == "mean_acc1_acc5"
    assert own["pets"] == "mean_per_class_recall"


def test_means_over_a_suite_and_over_all(compared: Comparison) -> None:
    own = {one.dataset: one for one in compared.differences if one.headline}
    slip, every = compared.means
    assert (slip.suite.suite, len(slip.suite.sets), slip.suite.of) == ("slip", 4, 26)
    assert every.suite.sets == ("colours", "hateful_memes", "kinetics700_frames", "pets", "rendered_sst2")
    for mean in (slip, every):
        some = [own[name] for name in mean.suite.sets]
        assert mean.difference.value == pytest.approx(np.mean([one.difference.value for one in some]))
        assert mean.second - mean.first == pytest.approx(mean.difference.value)
        assert mean.error == pytest.approx(np.sqrt(sum(one.error**2 for one in some)) / len(some))
        assert mean.difference.high - mean.difference.value == pytest.approx(1.959964 * mean.error)
    assert "mean of 4 of 26 data sets (missing: aircraft" in slip.line()
    # An error is the spread that the interval has.
    for one in own.values():
        half = (one.difference.high - one.difference.low) / 2
        assert one.error == pytest.approx(half / 1.96, rel=0.25)


def test_the_conclusion_says_what_is_shown_and_what_is_not(
    compared: Comparison, suite_runs: tuple[Path, Path]
) -> None:
    bad, good = suite_runs
    said = compared.conclusion()
    shown = [one for one in compared.differences if one.headline and is_shown(one)]
    assert shown
    assert f"{good} is better in {len(shown) + 2} of 7" in said
    assert all(one.title in said for one in shown)
    assert "after Holm over 17 comparisons" in said
    assert list(compared.lines())[-1] == said
    assert f"{shown[0].title} {100 * shown[0].difference.value:.1f} points" in said
    turned = compare(good, bad).conclusion()
    assert f"{good} is better in {len(shown) + 2} of 7" in turned
    same = compare(bad, bad).conclusion()
    assert same.startswith(f"no difference shown between {bad} and {bad} in any of 7")


def test_an_interval_clear_of_zero_is_not_enough(compared: Comparison) -> None:
    one = replace(compared.differences[0], adjusted=0.06)
    assert not is_shown(one)
    clear = replace(one, adjusted=0.04, difference=replace(one.difference, low=0.1, value=0.2, high=0.3))
    assert is_shown(clear)
    assert not is_shown(replace(clear, difference=replace(clear.difference, low=-0.01)))


def test_own_metrics_alone_are_corrected_less(suite_runs: tuple[Path, Path], compared: Comparison) -> None:
    few = compare(*suite_runs, own=True)
    assert [one.title for one in few.differences] == [d.title for d in compared.differences if d.headline]
    assert few.compared == 7


def test_everything_is_a_line_of_json(compared: Comparison, tmp_path: Path) -> None:
    file = tmp_path / "comparisons.jsonl"
    compared.write(file)
    compared.write(file)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["difference"] * 15 + ["mean"] * 2
    one = compared.differences[0]
    assert lines[0]["difference"] == one.difference.value
    assert (lines[0]["low"], lines[0]["high"], lines[0]["p"]) == (
        one.difference.low,
        one.difference.high,
        one.p,
    )
    assert (lines[0]["shown"], lines[0]["compared"]) == (is_shown(one), 17)
    assert (lines[-2]["suite"], lines[-2]["of"], len(lines[-2]["missing"])) == ("slip", 26, 22)
    replace(compared, first="another").write(file)
    assert len(file.read_text().splitlines()) == 34
    with pytest.raises(SightwordError, match="give another file with --out"):
        compared.write(file / "below")


def test_fields_of_comparisons_are_described(compared: Comparison) -> None:
    left_out = replace(compared, left_out=("why",))
    assert {name for line in left_out.records() for name in line} <= described()


def test_a_set_that_cannot_be_compared_is_told_and_others_are(
    suite_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    bad, good = (Path(shutil.copytree(run, tmp_path / run.name)) for run in suite_runs)
    (good / "outcomes" / "pets-test-zeroshot.parquet").write_bytes(b"PAR1 torn")
    (bad / "outcomes" / "colours-test-zeroshot.parquet").unlink()
    found = compare(bad, good)
    assert {one.dataset for one in found.differences} == {
        "hateful_memes",
        "kinetics700_frames",
        "rendered_sst2",
    }
    torn, only = found.left_out
    assert "holds no outcomes" in torn
    assert only == f"only '{good}' was scored on colours-test-zeroshot"
    assert f"not compared: {only}" in list(found.lines())
    assert [line["reason"] for line in found.records() if line["kind"] == "left out"] == [torn, only]
