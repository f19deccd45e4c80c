"""The best weights are kept, remembered, and told with what choosing them has cost."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import full_disk, opened, tiny

from sightword.errors import SightwordError
from sightword.training.loop import train
from sightword.training.model import load_model, place_of_scores
from sightword.training.records import Records
from sightword.training.saving import checkpoint
from sightword.training.saving.best import Best, check, told
from sightword.training.session import Session

NAME = "demo/test_concept/zeroshot/acc1"


@pytest.fixture
def session(tmp_path: Path, data: Path) -> Session:
    return opened(tmp_path / "run", data)


def score(value: float | None, split: str = "test_concept", metric: str = "acc1") -> dict[str, Any]:
    ends = {"value": value, "low": 0.0, "high": 1.0, "n": 9}
    return {"dataset": "demo", "split": split, "task": "zeroshot", "metric": metric, **ends}


def look(best: Best, session: Session, step: int, value: float | None, **others: Any) -> bool:
    """Weights of their own at every step, and scores beside the one that counts."""
    with torch.no_grad():
        session.model.encoders.towers["image"].norm.weight.fill_(float(step))
    scores = [score(1.0, metric="acc5"), score(value, **others), score(1.0, split="test_artist")]
    return best.look(scores, session.model.encoders, {"step": step, "samples": 8 * step, "flops": 1.0})


def kept(out: Path) -> tuple[float, dict[str, Any]]:
    """Of which step the kept weights are, and what is told of them."""
    weight = load_file(out / "model-best.safetensors")["towers.image.norm.weight"]
    assert weight.unique().numel() == 1
    return float(weight.flatten()[0]), json.loads((out / "best.json").read_text())


def test_the_best_is_kept_and_told(session: Session) -> None:
    best = Best(session.out, NAME, 0)
    values = [0.2, 0.4, 0.4, 0.1, None, math.nan]
    better = [look(best, session, step, value) for step, value in enumerate(values, start=1)]
    assert better == [True, True, False, False, False, False]
    step, note = kept(session.out)
    assert step == note["step"] == 2
    assert (note["score"], note["value"], note["low"], note["high"], note["n"]) == (NAME, 0.4, 0.0, 1.0, 9)
    assert (note["samples"], note["looks"], note["looked_until"]) == (16, 6, 6)
    said = told(session.out / "model-best.safetensors")
    assert said == note["said"]
    assert f"step 2, where {NAME} was highest, 40.0 %, of 6 looks until step 6" in said
    assert "its value is optimistic" in said
    assert told(session.out / "model.safetensors") == ""


def test_a_resumed_run_remembers(session: Session) -> None:
    """Looks after the step that it goes on from are made again, and counted once."""
    best, done = Best(session.out, NAME, 0), [(1, 0.2), (2, 0.5), (3, 0.3), (4, 0.6)]
    with Records(session.out / "metrics.jsonl", 0) as records:
        for step, value in done:
            look(best, session, step, value)
            records.write("score", step=step, **score(value))
            records.write("score", step=step, **score(0.9, split="test_artist"))
    before = kept(session.out)
    assert before[1]["looks"] == 4
    again = Best(session.out, NAME, 2)
    assert [look(again, session, step, value) for step, value in done[2:]] == [False, False]
    assert kept(session.out) == before
    assert look(again, session, 5, 0.7)
    assert kept(session.out)[1]["looks"] == 5


def test_a_note_that_a_kill_left_behind_decides_nothing(session: Session) -> None:
    """Killed between the weights and the note: the weights say themselves what they are."""
    look(Best(session.out, NAME, 0), session, 1, 0.2)
    old = (session.out / "best.json").read_bytes()
    look(Best(session.out, NAME, 1), session, 2, 0.5)
    (session.out / "best.json").write_bytes(old)
    assert not look(Best(session.out, NAME, 2), session, 3, 0.4)
    step, note = kept(session.out)
    assert (step, note["step"], note["value"]) == (2, 2, 0.5)


def test_another_score_chooses_anew(session: Session) -> None:
    look(Best(session.out, NAME, 0), session, 1, 0.9)
    look(Best(session.out, "demo/test_concept/zeroshot/mean_per_class_recall", 1), session, 2, 0.1,
         metric="mean_per_class_recall")  # fmt: skip
    step, note = kept(session.out)
    assert (step, note["score"]) == (2, "demo/test_concept/zeroshot/mean_per_class_recall")


def test_without_a_split_where_there_is_one_only(session: Session) -> None:
    encoders, about = session.model.encoders, {"step": 1, "samples": 8, "flops": 0.0}
    best = Best(session.out, "demo/zeroshot/acc1", 0)
    assert best.look([score(0.5), score(0.7, metric="acc5")], encoders, about)
    assert json.loads((session.out / "best.json").read_text())["score"] == NAME
    with pytest.raises(SightwordError, match=f"fits 2 scores; give one of {NAME}, demo/test_artist"):
        best.look([score(0.5), score(0.5, split="test_artist")], encoders, about)


def test_a_score_that_is_not_watched_is_an_error_that_names_those_that_are(session: Session) -> None:
    best = Best(session.out, "demo/zeroshot/acc2", 0)
    with pytest.raises(SightwordError, match="demo/zeroshot/acc2") as found:
        look(best, session, 1, 0.5)
    assert "\n" not in str(found.value)
    assert NAME in str(found.value)
    assert "demo/test_artist/zeroshot/acc1" in str(found.value)
    with pytest.raises(SightwordError, match="nothing is, of this model"):
        best.look([], session.model.encoders, {"step": 1})
    assert not (session.out / "model-best.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"keep_best": NAME}, "--zeroshot-frequency N"),
        ({"keep_best": "acc1", "zeroshot_frequency": 1}, "is DATASET/TASK/METRIC .* found 'acc1'"),
    ],
)
def test_what_cannot_choose_is_told_at_the_start(
    tmp_path: Path, data: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(SightwordError, match=says):
        check(tiny(tmp_path, data, **changes))
    check(tiny(tmp_path, data, keep_best=NAME, zeroshot_frequency=5))
    check(tiny(tmp_path, data))


def test_a_full_disk_leaves_the_old_best(session: Session) -> None:
    best = Best(session.out, NAME, 0)
    look(best, session, 1, 0.2)
    before = kept(session.out)
    with full_disk(1000), pytest.raises(SightwordError, match=r"could not write .*model-best\.safetensors"):
        look(best, session, 2, 0.9)
    assert kept(session.out) == before
    assert not list(session.out.glob(".*best*"))
    assert look(Best(session.out, NAME, 1), session, 2, 0.3)


def test_the_best_is_loaded_by_its_own_name(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "run", data), say=lambda said: None)
    with pytest.raises(SightwordError, match=r"has no model-best\.safetensors yet; .* --keep-best"):
        load_model(out / "model-best.safetensors")
    newest, session = load_model(out), opened(tmp_path / "other", data)
    assert look(Best(out, NAME, 0), session, 4, 0.5)
    best = load_model(out / "model-best.safetensors")
    assert (newest.name, newest.step, best.name, best.step, best.samples) == ("run", 6, "run-best", 4, 32)
    assert best.weights_hash != newest.weights_hash
    ours, theirs = best.encoders.state_dict(), session.model.encoders.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    file = checkpoint.save_encoders(out, session.model.encoders, {"step": 9})
    assert load_model(file).name == "run"


def test_scores_of_the_best_are_kept_apart() -> None:
    run = Path("runs/one")
    assert place_of_scores(run) == place_of_scores(run / "model.safetensors") == run
    assert place_of_scores("runs/one/model-best.safetensors") == run / "model-best"
