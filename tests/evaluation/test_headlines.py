"""Each data set's own metric, means over suites, and what is done with broken and repeated sets."""

from __future__ import annotations

import errno
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colour_sets import ColourModel, write_folder
from published_sets import described, small_suite
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from sightword.errors import SightwordError
from sightword.evaluation.evaluated import means_of
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.outcomes import read_outcomes
from sightword.evaluation.run import evaluate, evaluate_all
from sightword.evaluation.scores import Score, read_scores

OWN = {
    "rendered_sst2": "acc1",
    "hateful_memes": "roc_auc",
    "kinetics700_frames": "mean_acc1_acc5",
    "pets": "mean_per_class_recall",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blurred model's scores on four sets of the SLIP suite."""
    folder = tmp_path_factory.mktemp("suite")
    evaluate(ColourModel(blur=0.9), folder / "run", small_suite(folder), ["zeroshot"])
    return folder / "run"


def own_scores(run: Path) -> dict[str, Score]:
    return {score.dataset: score for score in read_scores(run) if score.headline}


def test_each_set_has_its_own_metric_once(run: Path) -> None:
    assert {name: score.metric for name, score in own_scores(run).items()} == OWN
    assert sum(score.headline for score in read_scores(run)) == 4
    for score in own_scores(run).values():
        assert score.low < score.value < score.high
        assert score.low >= 0
        assert score.high <= 1


def test_metrics_are_made_again_from_outcomes(run: Path) -> None:
    tables = {name: read_outcomes(run / "outcomes" / f"{name}-test-zeroshot.parquet").table for name in OWN}
    scores = own_scores(run)
    memes, pets, frames = (tables[name] for name in ("hateful_memes", "pets", "kinetics700_frames"))
    assert scores["hateful_memes"].value == pytest.approx(
        roc_auc_score(memes["label"].to_numpy(), memes["score"].to_numpy())
    )
    assert scores["hateful_memes"].interval == "delong"
    assert scores["pets"].value == pytest.approx(
        balanced_accuracy_score(pets["label"].to_numpy(), pets["predicted"].to_numpy())
    )
    ranks = frames["rank"].to_numpy()
    assert scores["kinetics700_frames"].value == pytest.approx(
        (np.mean(ranks == 1) + np.mean(ranks <= 5)) / 2
    )
    assert "score" not in frames.column_names


def test_a_suites_mean_says_of_how_many(run: Path) -> None:
    (line,) = (json.loads(text) for text in (run / "suites.jsonl").read_text().splitlines())
    scores = own_scores(run)
    assert (line["suite"], line["task"], line["of"], line["n"]) == ("slip", "zeroshot", 26, 4)
    assert sorted(line["sets"]) == sorted(OWN)
    assert len(line["missing"]) == 22
    assert not set(line["missing"]) & set(line["sets"])
    assert line["metrics"] == OWN
    assert line["value"] == pytest.approx(np.mean([score.value for score in scores.values()]))
    widths = [score.high - score.low for score in scores.values()]
    assert line["high"] - line["low"] == pytest.approx(np.sqrt(np.sum(np.square(widths))) / 4)


def test_means_never_mix_weights_or_count_a_set_twice(run: Path) -> None:
    scores = read_scores(run)
    assert means_of(scores, "other weights") == []
    one, *others = own_scores(run).values()
    older = [replace(score, weights_hash="older", value=0.0) for score in others]
    assert means_of([one, *older], one.weights_hash) == []  # one set of these weights is no suite
    splits = [one, replace(one, split="second", value=one.value / 2), others[0]]
    (mean,) = means_of(splits, one.weights_hash)
    assert mean.interval.value == pytest.approx((0.75 * one.value + others[0].value) / 2)
    again = [*splits, replace(others[0], value=0.0)]
    assert means_of(again, one.weights_hash)[0].interval.value == pytest.approx(0.75 * one.value / 2)


def test_the_end_says_all_that_is_not_there(tmp_path: Path) -> None:
    small_suite(tmp_path)
    said: list[str] = []
    done = evaluate_all(
        ColourModel(), tmp_path / "run", ["slip"], ["zeroshot"], data_root=tmp_path, say=said.append
    )
    lines = list(done.lines())
    assert len(said) == 22
    assert all(line.startswith("missing: ") for line in said)
    assert lines[-1].startswith("missing: 22 of 26 data sets: aircraft, ")
    assert "food101" in lines[-1]
    (mean,) = (line for line in lines if line.startswith("slip zeroshot"))
    assert "mean of 4 of 26 data sets (missing: " in mean
    assert done.exit_code == 0


def test_a_broken_set_does_not_end_the_others(tmp_path: Path) -> None:
    places = small_suite(tmp_path)
    (tmp_path / "pets" / "classnames.txt").write_text("red\n")  # cannot be opened
    for file in (tmp_path / "rendered_sst2" / "test").rglob("*.png"):
        file.write_bytes(b"")  # opens, and then no picture can be read
    said: list[str] = []
    model = ColourModel()
    done = evaluate_all(model, tmp_path / "run", places, ["zeroshot"], say=said.append)
    assert {score.dataset for score in done.scores} == {"hateful_memes", "kinetics700_frames"}
    assert [one.what for one in done.failed] == [places[3], "rendered_sst2/test zeroshot"]
    assert done.exit_code == 2
    *_, last = done.lines()
    assert last == done.failure()
    assert last.startswith("failed: 2, the others are scored: pets=")
    assert any(line.startswith("failed: rendered_sst2/test zeroshot: no picture") for line in said)
    seen = model.seen
    with pytest.raises(SightwordError, match="failed: 2, the others are scored"):
        evaluate(model, tmp_path / "run", places, ["zeroshot"], say=said.append)
    assert model.seen == seen  # what was scored was not scored again


def test_a_set_that_vanishes_meanwhile_is_told(tmp_path: Path) -> None:
    places = [str(write_folder(tmp_path / name)) for name in ("one", "two")]

    class Remover(ColourModel):
        def encode_text(self, texts):
            (tmp_path / "two" / "test" / "red" / "0.png").unlink(missing_ok=True)
            return super().encode_text(texts)

    done = evaluate_all(Remover(), tmp_path / "run", places, ["zeroshot"], say=lambda _: None)
    assert {score.dataset for score in done.scores} == {"one"}
    assert [one.what for one in done.failed] == ["two/test zeroshot"]


def test_whatever_a_reader_raises_is_told(folder: Path, tmp_path: Path) -> None:
    class Odd(ColourModel):
        def encode_text(self, texts):
            raise tarfile.ReadError("not a gzip file")

    done = evaluate_all(Odd(), tmp_path / "run", [str(folder)], ["zeroshot", "knn"], say=lambda _: None)
    assert [(one.what, one.reason) for one in done.failed] == [
        ("colours/test zeroshot", "ReadError: not a gzip file")
    ]
    assert {score.task for score in done.scores} == {"knn"}


def test_a_full_disk_ends_everything(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sightword.evaluation.scoring.append_scores", full)
    with pytest.raises(SightwordError, match="No space left"):
        evaluate_all(ColourModel(), tmp_path / "run", [str(folder)], ["zeroshot", "knn"])


def test_fields_of_suites_are_described(run: Path) -> None:
    (line,) = (json.loads(text) for text in (run / "suites.jsonl").read_text().splitlines())
    assert set(line) <= described()


def test_nothing_but_broken_sets_is_an_error_at_once(tmp_path: Path) -> None:
    places = small_suite(tmp_path)[3:]
    (tmp_path / "pets" / "classnames.txt").write_text("red\n")
    with pytest.raises(SightwordError, match="cannot be evaluated on"):
        evaluate(ColourModel(), tmp_path / "run", places, ["zeroshot"])
    assert not (tmp_path / "run").exists()


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    places = small_suite(tmp_path)

    class Interrupted(ColourModel):
        def encode_text(self, texts):
            if self.read and len(self.read) > 10:
                raise KeyboardInterrupt
            return super().encode_text(texts)

    with pytest.raises(KeyboardInterrupt):
        evaluate(Interrupted(), tmp_path / "run", places, ["zeroshot"])
    before = read_scores(tmp_path / "run")
    assert 0 < len({score.dataset for score in before}) < 4
    scores = evaluate(ColourModel(), tmp_path / "run", places, ["zeroshot"])
    assert scores[: len(before)] == before
    assert {score.dataset for score in scores} == set(OWN)
    assert len(read_scores(tmp_path / "run")) == len(scores)


def test_copies_of_training_pictures_are_counted(folder: Path, tmp_path: Path) -> None:
    asked: list[LabelledSet] = []

    def copies(test: LabelledSet) -> int:
        asked.append(test)
        return 3

    out, places = tmp_path / "run", [str(folder)]
    plain = evaluate(ColourModel(), out, places, ["zeroshot"])
    assert {score.contaminated for score in plain} == {None}
    assert "training data" not in plain[0].line()
    told = evaluate(ColourModel(), out, places, ["zeroshot"], copies=copies)
    assert told == [replace(score, contaminated=3) for score in plain]
    assert "3 in the training data" in told[0].line()
    assert evaluate(ColourModel(), out, places, ["zeroshot"], copies=copies) == told
    assert evaluate(ColourModel(), out, places, ["zeroshot"]) == told
    assert len(asked) == 1
    fresh = evaluate(ColourModel(), out, places, ["knn"], copies=copies)
    assert {score.contaminated for score in fresh} == {3}
    other = tmp_path / "other"
    unknown = evaluate(ColourModel(), other, places, ["knn"], copies=lambda _: None)
    assert evaluate(ColourModel(), other, places, ["knn"], copies=lambda _: None) == unknown
    assert len(read_scores(other)) == len(unknown)


def test_one_class_alone_has_no_area_and_that_is_said(tmp_path: Path) -> None:
    place = small_suite(tmp_path)[1]
    for file in (tmp_path / "hateful_memes" / "test" / "1").iterdir():
        file.write_bytes(b"")
    said: list[str] = []
    scores = evaluate(ColourModel(), tmp_path / "run", [place], ["zeroshot"], say=said.append)
    assert [score.metric for score in scores if score.headline] == ["acc1"]
    assert "no roc_auc of hateful_memes/test: all readable pictures are of one class" in said


def test_scores_go_to_the_sinks(run: Path, tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out, places = tmp_path / "run", small_suite(tmp_path)
    done = evaluate_all(ColourModel(), out, places, ["zeroshot"], report_to=["tensorboard"])
    found = events.EventAccumulator(str(out / "tensorboard")).Reload()
    (event,) = found.Scalars("scores/hateful_memes/test/zeroshot/roc_auc")
    value = next(score.value for score in done.scores if score.metric == "roc_auc")
    assert (event.step, event.value) == (3, pytest.approx(value))
    assert found.Scalars("suites/slip/zeroshot/mean_of_4")[0].value == pytest.approx(
        done.means[0].interval.value
    )
    with pytest.raises(SightwordError, match="--report-to"):
        evaluate(ColourModel(), tmp_path / "other", places, ["zeroshot"], report_to=["tensorbored"])
    assert not (tmp_path / "other").exists()
