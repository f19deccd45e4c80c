"""A run that was stopped and resumed ends with the bytes of the run that was not."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import (
    BYOL,
    MAE,
    RESNET,
    SIMCLR,
    VIT,
    assert_same_tensors,
    newest_files,
    opened,
    shard,
    stop_at,
    tiny,
)

from sightword.config import Config, DataConfig, to_toml
from sightword.errors import SightwordError
from sightword.training.loop import resume_training, train
from sightword.training.records import read_records
from sightword.training.saving.checkpoint import newest

LATE = f"clip + {SIMCLR}@50%"


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


def losses(out: Path) -> list[tuple[int, float, float]]:
    """Step, loss and gradient norm of every recorded step, in order."""
    records = read_records(out / "metrics.jsonl")
    return [(r["step"], r["loss"], r["grad_norm"]) for r in records if r["kind"] == "step"]


def state(out: Path) -> dict[str, object]:
    """What the newest checkpoint knows beside tensors, without the time it took."""
    saved, complaints = newest(out)
    assert saved is not None
    assert not complaints
    return {name: value for name, value in saved.state.items() if name != "seconds"}


def assert_same_end(first: Path, second: Path) -> None:
    assert_same_tensors(first / "model.safetensors", second / "model.safetensors")
    assert newest_files(first) == newest_files(second)
    assert losses(first) == losses(second)
    assert state(first) == state(second)


def interrupted(config: Config, *stops: int) -> Path:
    """Train, stopped by SIGTERM after each of these steps and resumed."""
    config = replace(config, zeroshot_frequency=1)
    out = train(config, stop_at(stops[0]), quiet)
    for done, stop in zip(stops, (*stops[1:], -1), strict=True):
        assert losses(out)[-1][0] == done
        resume_training(out, stop_at(stop), quiet)
    return out


@pytest.mark.parametrize("objective", [LATE, f"clip + {BYOL}", MAE])
def test_stopped_and_resumed(tmp_path: Path, data: Path, objective: str) -> None:
    """Weights, optimizer, teachers, their heads, averaged weights; before, at and after a late start."""
    image = replace(VIT, layers=(2,), drop_path=0.5)
    config = tiny(tmp_path / "whole", data, objective, image=image)
    config = replace(config, optimizer=replace(config.optimizer, ema=0.9, grad_clip=1.0))
    whole = train(config, say=quiet)
    assert_same_end(interrupted(replace(config, out=str(tmp_path / "parts")), 2, 3, 4), whole)


def test_channels_last_and_batch_norm(tmp_path: Path, data: Path) -> None:
    """A ResNet's weights lie in another order in memory than they are saved in; its statistics are state."""
    config = tiny(tmp_path / "whole", data, f"clip + {SIMCLR} + {BYOL}", image=RESNET)
    whole = train(config, say=quiet)
    assert_same_end(interrupted(replace(config, out=str(tmp_path / "parts")), 1, 4), whole)


def test_feature_cached_and_in_half_precision(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "whole", data, f"clip + {SIMCLR}", accum_freq=3, precision="bf16")
    whole = train(config, say=quiet)
    assert_same_end(interrupted(replace(config, out=str(tmp_path / "parts")), 3), whole)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(tmp_path: Path, data: Path, workers: int) -> None:
    config = tiny(tmp_path / "alone", data, LATE)
    alone = train(config, say=quiet)
    helped = replace(
        config, out=str(tmp_path / "helped"), data=replace(config.data, workers=workers, cache_mib=0)
    )
    assert_same_end(interrupted(helped, 3), alone)


def test_how_often_it_saves_and_records_changes_nothing(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "often", data, f"clip + {SIMCLR}", save_every=1)
    often = train(config, say=quiet)
    seldom = train(replace(config, out=str(tmp_path / "seldom"), save_every=0, log_every=4), say=quiet)
    assert_same_tensors(often / "model.safetensors", seldom / "model.safetensors")
    assert losses(seldom) == [row for row in losses(often) if row[0] in (1, 4, 6)]


def test_the_other_objectives_change_no_shared_weight_at_the_start(tmp_path: Path, data: Path) -> None:
    """Paired runs: the same first weights, order and shared views, whatever else is trained."""
    one, two = (opened(tmp_path / n, data, o) for n, o in (("a", "clip"), ("b", f"clip + {SIMCLR} + {MAE}")))
    shared, more = one.model.encoders.state_dict(), two.model.encoders.state_dict()
    assert shared.keys() == more.keys()
    assert all(shared[name].equal(more[name]) for name in shared)


def test_a_stop_says_how_to_go_on(tmp_path: Path, data: Path) -> None:
    said: list[str] = []
    config = tiny(tmp_path / "run", data, zeroshot_frequency=1)
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    out = train(config, stop_at(2), said.append)
    assert said == [f"SIGTERM: saved at step 2 of 6; go on with: sightword train --resume {out}"]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    kinds = [r["kind"] for r in read_records(out / "metrics.jsonl")]
    assert kinds == ["start", "step", "step", "save"]


def test_a_stop_during_the_last_step_ends_the_run(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "run", data, zeroshot_frequency=1), stop_at(6), quiet)
    assert read_records(out / "metrics.jsonl")[-1]["kind"] == "end"


def test_resuming_a_finished_run_makes_good_what_is_missing(tmp_path: Path, data: Path) -> None:
    """A kill between the last checkpoint and the end of the run."""
    out = train(tiny(tmp_path / "run", data), say=quiet)
    before = newest_files(out)
    metrics = out / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[:-1]))
    (out / "model.safetensors").unlink()
    said: list[str] = []
    resume_training(out, say=said.append)
    assert said == [f"{out} is finished: 6 steps of 6"]
    assert newest_files(out) == before
    end = read_records(metrics)[-1]
    assert (end["kind"], end["step"], end["samples"]) == ("end", 6, 48)
    whole = metrics.read_bytes()
    resume_training(out, say=quiet)
    assert metrics.read_bytes() == whole


def test_a_run_that_never_saved_starts_again(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data)
    opened(tmp_path / "run", data)
    said: list[str] = []
    out = resume_training(tmp_path / "run", say=said.append)
    assert said == [f"{out} has no whole checkpoint yet; it starts from the beginning"]
    assert_same_end(out, train(replace(config, out=str(tmp_path / "other")), say=quiet))


def test_other_data_is_refused(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data, zeroshot_frequency=1)
    out = train(config, stop_at(2), quiet)
    before = newest_files(out)
    other = shard(tmp_path / "other.tar", 30)
    changed = replace(config, data=replace(config.data, path=str(other)))
    (out / "config.toml").write_text(to_toml(changed))
    with pytest.raises(SightwordError, match="the data has changed since"):
        resume_training(out, say=quiet)
    assert newest_files(out) == before


def test_a_changed_configuration_is_told(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data, zeroshot_frequency=1)
    out = train(config, stop_at(2), quiet)
    changed = replace(config, optimizer=replace(config.optimizer, lr=2e-2), log_every=2)
    (out / "config.toml").write_text(to_toml(changed))
    said: list[str] = []
    resume_training(out, say=said.append)
    assert len(said) == 1
    assert "another run now" in said[0]


def test_settings_that_decide_no_number_are_not_told(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data, zeroshot_frequency=1)
    out = train(config, stop_at(2), quiet)
    moved = data.with_name("moved.tar")
    moved.write_bytes(data.read_bytes())
    where = DataConfig(path=str(moved), tokenizer="learned", vocab=300, workers=1, cache_mib=1)
    changed = replace(config, data=where, log_every=2, save_every=3, keep_last=5, evaluate_on="")
    (out / "config.toml").write_text(to_toml(changed))
    said: list[str] = []
    resume_training(out, say=said.append)
    assert said == []


def test_a_directory_with_a_run_is_not_overwritten(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "run", data), say=quiet)
    before = newest_files(out)
    with pytest.raises(
        SightwordError, match=f"already holds a run; go on with: sightword train --resume {out}"
    ):
        train(tiny(tmp_path / "run", data), say=quiet)
    assert newest_files(out) == before


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, data: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(SightwordError, match="could not write"):
        train(tiny(tmp_path / "run", data), say=quiet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "every objective compares samples: give 2 or more"),
        ({"batch_size": 41}, "larger than the data set of 40 pairs"),
        ({"steps": 0}, "the length of training is missing"),
        ({"steps": 3, "epochs": 1.0}, "both --steps and --epochs"),
        ({"objective": "clip@10%"}, "counts from the start"),
        ({"device": "cuba"}, "device 'cuba' cannot be used here"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, data: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SightwordError, match=message) as found:
        train(replace(tiny(tmp_path / "run", data), **changes), say=quiet)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


def test_epochs_are_counted_in_whole_batches(tmp_path: Path, data: Path) -> None:
    """40 pairs are 5 batches of 8; what is begun is finished, but rounding begins nothing."""
    assert opened(tmp_path / "a", data, steps=0, epochs=2.0).total == 10
    assert opened(tmp_path / "b", data, steps=0, epochs=0.61).total == 4
    assert (0.1 + 0.2) * 20 > 6
    assert opened(tmp_path / "c", data, steps=0, epochs=0.1 + 0.2, batch_size=2).total == 6


def test_time_is_counted_over_all_parts(tmp_path: Path, data: Path) -> None:
    out = interrupted(tiny(tmp_path / "run", data), 3)
    records = read_records(out / "metrics.jsonl")
    spent = sum(r["step_seconds"] for r in records if r["kind"] == "step")
    assert records[-1]["seconds"] == pytest.approx(spent, rel=0.05)
    saved, _ = newest(out)
    assert saved is not None
    assert json.loads((saved.path / "state.json").read_text())["seconds"] == pytest.approx(spent, rel=0.05)
