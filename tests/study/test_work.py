"""A run of a study: trained once, scored once, told from disk to be finished, never another run's."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_studies import labelled, pairs, run
from tiny_runs import assert_same_tensors, stop_at

from sightword.errors import SightwordError
from sightword.study.sameness import differences
from sightword.study.work import MARK, Work, begun, finished, tidy
from sightword.training.loop import train
from sightword.training.records import read_records


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled(tmp_path_factory.mktemp("place") / "colours")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairs(tmp_path_factory.mktemp("data"))


@pytest.fixture
def work(place: Path) -> Work:
    return Work((str(place),), ("zeroshot", "knn"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, data: Path, place: Path) -> Path:
    """A finished run with its checkpoints."""
    out = tmp_path_factory.mktemp("runs") / "kept"
    Work((str(place),), ("zeroshot", "knn"), keep=True)(run(out, data))
    return out


@pytest.fixture
def out(tmp_path: Path, kept: Path) -> Path:
    """A copy of the finished run."""
    return shutil.copytree(kept, tmp_path / "run")


def steps(out: Path) -> list[dict[str, Any]]:
    return [r for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]


def lines(out: Path) -> list[str]:
    return (out / "scores.jsonl").read_text().splitlines()


def test_a_run_is_trained_and_scored_and_only_then_finished(tmp_path: Path, data: Path, work: Work) -> None:
    out = tmp_path / "run"
    assert not begun(out)
    assert not finished(out, work)
    train(run(out, data))
    assert begun(out)
    assert not finished(out, work), "nothing is scored"
    work(run(out, data))
    work(run(out, data))  # nothing
    assert finished(out, work)
    assert {json.loads(line)["task"] for line in lines(out)} == {"zeroshot", "knn"}


def test_what_only_an_unfinished_run_needs_is_deleted(out: Path, data: Path, work: Work) -> None:
    before = {path.name for path in out.iterdir()}
    assert {"checkpoints", "features", "model.safetensors", "outcomes"} <= before
    (out / MARK).unlink()
    work(run(out, data))
    assert {path.name for path in out.iterdir()} == before - {"checkpoints", "features"}
    assert finished(out, work)


def test_a_finished_run_is_left_as_it_is(out: Path, data: Path, work: Work) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.iterdir() if path.name != ".lock"}
    work(run(out, data))
    assert {path: path.stat().st_mtime_ns for path in out.iterdir() if path.name != ".lock"} == before


def test_more_to_score_on_does_not_train_again(out: Path, data: Path, work: Work) -> None:
    known = lines(out)
    tidy(out)
    weights, trained = (out / "model.safetensors").read_bytes(), read_records(out / "metrics.jsonl")
    more = replace(work, tasks=(*work.tasks, "linear"))
    assert not finished(out, more)
    more(run(out, data))
    assert finished(out, more)
    assert finished(out, work)
    assert (out / "model.safetensors").read_bytes() == weights
    assert read_records(out / "metrics.jsonl") == trained
    assert lines(out)[: len(known)] == known
    assert {json.loads(line)["task"] for line in lines(out)[len(known) :]} == {"linear"}


def test_an_unfinished_run_goes_on_to_the_same_bits(
    tmp_path: Path, data: Path, work: Work, kept: Path
) -> None:
    cut = tmp_path / "cut"
    train(run(cut, data, zeroshot_frequency=1), stop_at(3))
    before = steps(cut)
    assert [step["step"] for step in before] == [1, 2, 3]
    work(run(cut, data))
    assert steps(cut)[:3] == before, "with the times at which they were done"
    assert_same_tensors(kept / "model.safetensors", cut / "model.safetensors")
    assert (cut / "scores.jsonl").exists()


def test_a_run_that_was_asked_to_stop_is_no_finished_one(
    tmp_path: Path, data: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(config: object, go_on: bool) -> Path:
        assert go_on
        return train(run(tmp_path / "run", data, zeroshot_frequency=1), stop_at(2))

    monkeypatch.setattr("sightword.training.loop.train", stopped)
    with pytest.raises(SightwordError, match="asked to stop and is saved; the same command goes on"):
        work(run(tmp_path / "run", data))
    assert not finished(tmp_path / "run", work)
    assert not (tmp_path / "run" / "scores.jsonl").exists()


def test_another_run_in_its_place_is_refused_by_name(out: Path, data: Path, work: Work) -> None:
    other = run(out, data, seed=4)
    with pytest.raises(SightwordError, match=r"other settings: seed was 0, now 4; ask for those again"):
        work(replace(other, device="auto", log_every=7))
    rate = replace(run(out, data).optimizer, lr=1e-3)
    with pytest.raises(SightwordError, match=r"optimizer.lr was 0.01, now 0.001;"):
        work(run(out, data, optimizer=rate))


def test_where_and_how_it_is_computed_makes_no_other_run(tmp_path: Path, data: Path) -> None:
    one = run(tmp_path / "a", data)
    begun_as = replace(one, precision="bf16", ranks=1)
    asked = replace(
        one, precision="auto", device="cuda:1", out="elsewhere", save_minutes=3.0, evaluate_on="",
        data=replace(one.data, workers=3, cache_mib=7),
    )  # fmt: skip
    assert differences(begun_as, asked) == []
    assert differences(begun_as, replace(asked, precision="fp32")) == [("precision", "bf16", "fp32")]
    assert differences(begun_as, replace(asked, batch_size=4, ranks=2)) == []
    longer = replace(asked, data=replace(asked.data, captions="first"))
    assert differences(begun_as, longer) == [("data.captions", "label", "first")]


@pytest.mark.parametrize("spoil", ["scores", "mark", "weights", "end"])
def test_what_is_missing_is_noticed_and_made_good(out: Path, data: Path, work: Work, spoil: str) -> None:
    if spoil == "scores":
        (out / "scores.jsonl").write_text(lines(out)[0] + "\n")
    elif spoil == "mark":
        (out / MARK).write_text("{")
    elif spoil == "weights":
        file = out / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    else:
        metrics = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
        (out / "metrics.jsonl").write_text("".join(metrics[:-1]))
    assert not finished(out, work)
    work(run(out, data))
    assert finished(out, work)


def test_a_refusal_is_an_answer_and_a_broken_set_is_none(tmp_path: Path, data: Path, place: Path) -> None:
    """What was never trained on captions has no zero-shot score; a set of broken pictures is an error."""
    blind = run(tmp_path / "blind", data, objective="simclr(hidden=16, out=8)")
    work = Work((str(place),), ("zeroshot", "knn"))
    work(blind)
    assert finished(tmp_path / "blind", work)
    assert {json.loads(line)["task"] for line in lines(tmp_path / "blind")} == {"knn"}
    assert "not scored" in "".join(json.loads((tmp_path / "blind" / MARK).read_text())["said"])
    broken = labelled(tmp_path / "broken")
    for file in broken.rglob("*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(SightwordError, match="failed"):
        Work((str(place), str(broken)), ("knn",))(blind)
    assert not finished(tmp_path / "blind", Work((str(place), str(broken)), ("knn",)))


def test_it_can_be_sent_to_another_process(work: Work) -> None:
    assert pickle.loads(pickle.dumps(work)) == work
