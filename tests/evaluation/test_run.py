from __future__ import annotations

import json
from pathlib import Path

import pytest
from colour_sets import ColourModel, square, write_clip_benchmark, write_labelled_tar, write_tar

from sightword.errors import SightwordError
from sightword.evaluation.outcomes import read_outcomes
from sightword.evaluation.run import DEFAULT, TASKS, evaluate
from sightword.evaluation.scores import append_scores, read_scores


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_everything_is_scored_and_written_down(model: ColourModel, folder: Path, out: Path) -> None:
    said: list[str] = []
    scores = evaluate(model, out, [str(folder)], DEFAULT, say=said.append)
    assert {(s.task, s.metric) for s in scores} == {
        (task, metric)
        for task in ("zeroshot", "knn", "linear")
        for metric in ("acc1", "acc5", "mean_per_class_recall")
    }
    assert said == ["not scored: colours/test retrieval: the set has no captions"]
    assert read_scores(out) == scores
    for score in scores:
        assert (score.dataset, score.split, score.place, score.n) == ("colours", "test", str(folder), 36)
        assert 0 <= score.low <= score.value <= score.high <= 1
        assert score.low < score.high
        assert (score.run, score.step, score.samples, score.flops) == ("colours", 3, 30, 1e9)
        assert score.protocol["transform"]["resize"] == 8
    assert scores[-1].chosen["c"] in scores[-1].protocol["c_among"]
    rows = json.loads((out / "results.json").read_text())
    assert [row["task"] for row in rows] == ["zeroshot_classification", "knn", "linear_probe"]
    assert rows[0]["metrics"]["acc1"] == scores[0].value


def test_outcomes_hold_what_the_scores_were_made_of(model: ColourModel, folder: Path, out: Path) -> None:
    scores = evaluate(ColourModel(blur=0.6), out, [str(folder)], ["zeroshot"])
    found = read_outcomes(out / "outcomes" / "colours-test-zeroshot.parquet")
    rows = found.table.to_pylist()
    assert sum(row["correct"] for row in rows) / 36 == scores[0].value < 1
    assert sum(row["rank"] <= 5 for row in rows) / 36 == scores[1].value
    for row in rows:
        assert found.names[row["label"]] == row["key"].split("/")[0]
        assert row["predicted"] == row["top5"][0]
        assert row["correct"] == (row["predicted"] == row["label"])
        assert row["probabilities"] == sorted(row["probabilities"], reverse=True)
    assert found.about.weights_hash == "w0"
    assert found.about.protocol_hash == scores[0].protocol["hash"]


def test_what_is_scored_is_not_scored_again(model: ColourModel, folder: Path, out: Path) -> None:
    first = evaluate(model, out, [str(folder)], ["zeroshot", "knn"])
    seen, lines = model.seen, (out / "scores.jsonl").read_text()
    assert evaluate(model, out, [str(folder)], ["zeroshot", "knn"]) == first
    assert model.seen == seen
    assert (out / "scores.jsonl").read_text() == lines
    evaluate(model, out, [str(folder)], ["zeroshot"], force=True)
    assert (out / "scores.jsonl").read_text().startswith(lines)
    assert len(read_scores(out)) == len(first) + 3


def test_new_weights_data_or_prompts_are_scored_again(model: ColourModel, folder: Path, out: Path) -> None:
    def lines() -> int:
        evaluate(model, out, [str(folder)], ["zeroshot"])
        return len(read_scores(out))

    assert lines() == 3
    model.weights_hash = "w1"
    assert lines() == 6
    (folder / "templates.txt").write_text("the {}\n")
    assert lines() == 9
    (folder / "test" / "red" / "0.png").write_bytes(square("red", 5))
    assert lines() == 12
    (out / "outcomes" / "colours-test-zeroshot.parquet").unlink()
    assert lines() == 15


def test_scores_are_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    def values(out: Path) -> list[tuple[float, float, float]]:
        scores = evaluate(ColourModel(blur=0.6), out, [str(folder)], ["zeroshot", "knn", "linear"])
        return [(score.value, score.low, score.high) for score in scores]

    assert values(tmp_path / "a") == values(tmp_path / "b")


def test_a_model_without_words_is_probed_only(folder: Path, out: Path) -> None:
    said: list[str] = []
    scores = evaluate(
        ColourModel(has_text=False), out, [str(folder)], ["zeroshot", "linear"], say=said.append
    )
    assert {score.task for score in scores} == {"linear"}
    assert said == ["not scored: colours/test zeroshot: the run has no text tower"]


def test_several_places_and_layouts(model: ColourModel, tmp_path: Path, out: Path) -> None:
    places = [str(write_clip_benchmark(tmp_path / "wds")), str(write_labelled_tar(tmp_path / "tar.tar"))]
    said: list[str] = []
    scores = evaluate(model, out, places, ["zeroshot", "knn"], say=said.append)
    assert [(s.dataset, s.task) for s in scores[::3]] == [
        ("wds", "zeroshot"),
        ("tar", "zeroshot"),
        ("tar", "knn"),
    ]
    assert said == ["not scored: wds/test knn: there is no train split to learn from"]


def test_unreadable_pictures_are_told_and_recorded(model: ColourModel, folder: Path, out: Path) -> None:
    (folder / "test" / "red" / "0.png").write_bytes(b"GIF89a broken")
    (folder / "train" / "blue" / "1.png").write_bytes(b"")
    said: list[str] = []
    scores = evaluate(model, out, [str(folder)], ["zeroshot", "knn"], say=said.append)
    assert {(score.n, score.unreadable) for score in scores} == {(35, 1)}
    assert [line.split("(")[0] for line in said] == [
        "colours/test zeroshot: left out 1 of 36 test pictures, unreadable ",
        "colours/test knn: left out 1 of 36 test pictures, unreadable ",
        "colours/test knn: left out 1 of 36 train pictures, unreadable ",
    ]
    assert "red/0.png" in said[1]
    assert "blue/1.png" in said[2]


def test_bad_wishes_fail_before_any_work(model: ColourModel, folder: Path, out: Path) -> None:
    with pytest.raises(SightwordError, match="did you mean zeroshot"):
        evaluate(model, out, [str(folder)], ["zero-shot"])
    with pytest.raises(SightwordError, match="nothing at"):
        evaluate(model, out, [str(folder), "nowhere"], ["knn"])
    with pytest.raises(SightwordError, match="two of the sets are called colours/test"):
        evaluate(model, out, [str(folder), str(folder) + "/"], ["knn"])
    assert model.seen == 0
    assert not out.exists()


def test_retrieval_end_to_end(model: ColourModel, tmp_path: Path, out: Path) -> None:
    samples = [
        (f"{c}", {"png": square(c, 1), "txt": f"a {c} thing".encode()}) for c in ("red", "blue", "green")
    ]
    scores = evaluate(model, out, [str(write_tar(tmp_path / "r.tar", samples))], ["retrieval"])
    assert [s.metric for s in scores] == [
        f"{d}_retrieval_recall@{k}" for d in ("text", "image") for k in (1, 5, 10)
    ]
    assert all(score.value == 1.0 and score.low < 1.0 for score in scores)


def test_a_torn_line_is_dropped_and_nothing_else(model: ColourModel, folder: Path, out: Path) -> None:
    scores = evaluate(model, out, [str(folder)], ["zeroshot"])
    with (out / "scores.jsonl").open("a") as file:
        file.write('{"dataset": "col')
    assert read_scores(out) == scores
    append_scores(out, scores[:1])
    assert read_scores(out) == [*scores, scores[0]]


def test_a_line_that_is_no_score_is_named(model: ColourModel, out: Path) -> None:
    out.mkdir()
    (out / "scores.jsonl").write_text('{"dataset": "x"}\n')
    with pytest.raises(SightwordError, match=r"scores\.jsonl"):
        read_scores(out)


def test_lines_for_people(model: ColourModel, folder: Path, out: Path) -> None:
    line = evaluate(model, out, [str(folder)], ["zeroshot"])[0].line()
    assert line.split() == ["colours/test", "zeroshot", "acc1", "100.0", "%", "[90.4,", "100.0]", "n", "36"]


def test_every_task_has_a_name_of_its_own() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS)
    assert set(DEFAULT) <= {task.name for task in TASKS}
