"""Checkpoints are whole or passed over; a full disk loses nothing; nothing is ever unpickled."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tiny_runs import BYOL, MAE, RESNET, SIMCLR, full_disk, newest_files, opened, stop_at, tiny

from sightword.config import to_toml
from sightword.errors import SightwordError
from sightword.training.loop import resume_training, train
from sightword.training.saving import checkpoint, storage
from sightword.training.session import Session

Saved = Callable[[int], Path]


def steps_of(out: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in sorted((out / "checkpoints").glob("step-*"))]


def save(session: Session, step: int, keep_last: int = 2) -> Path:
    return checkpoint.save(
        session.out, session.model, session.optimizer, {"step": step, "flops": 0.1}, keep_last
    )


@pytest.fixture
def session(tmp_path: Path, data: Path) -> Session:
    return opened(tmp_path / "run", data)


def test_what_is_saved_is_restored(tmp_path: Path, data: Path) -> None:
    """Everything: weights, heads, teachers, batch norms, the optimizer; to the bit and in the same layout."""
    objective = f"clip + {SIMCLR} + {BYOL}"
    out = train(tiny(tmp_path / "run", data, objective, image=RESNET), say=lambda said: None)
    saved, _ = checkpoint.newest(out)
    assert saved is not None
    fresh, twin = (opened(tmp_path / name, data, objective, image=RESNET) for name in ("a", "b"))
    checkpoint.restore(saved, fresh.model, fresh.optimizer)
    checkpoint.save(twin.out, fresh.model, fresh.optimizer, dict(saved.state), 1)
    again = twin.out / "checkpoints" / saved.path.name
    for name in ("rank-00000.safetensors", "index.json", "state.json", "manifest.json"):
        assert (again / name).read_bytes() == (saved.path / name).read_bytes()
    layouts = set()
    for parameter, state in fresh.optimizer.state.items():
        assert state["exp_avg"].stride() == parameter.stride()
        layouts.add(parameter.is_contiguous())
    assert layouts == {True, False}, "no weight lies in channels-last order"


def test_the_newest_are_kept(session: Session) -> None:
    for step in (1, 2, 3, 10, 20):
        save(session, step, keep_last=3)
    assert steps_of(session.out) == [3, 10, 20]
    save(session, 30, keep_last=1)
    assert steps_of(session.out) == [30]
    for step in (31, 32):
        save(session, step, keep_last=0)
    assert steps_of(session.out) == [30, 31, 32]


def test_what_a_torn_one_leaves_never_costs_a_whole_one(session: Session) -> None:
    """Back at step 15 after the one of step 20 was torn, only one is kept: that of step 15."""
    for step in (10, 20):
        save(session, step)
    (session.out / "checkpoints" / "step-00000020" / "rank-00000.safetensors").write_bytes(b"")
    save(session, 15, keep_last=1)
    assert steps_of(session.out) == [15]


def truncate(folder: Path) -> None:
    file = folder / "rank-00000.safetensors"
    file.write_bytes(file.read_bytes()[:-5])


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def garble_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"rank-00')


def flip_a_byte(folder: Path) -> None:
    file = folder / "rank-00000.safetensors"
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(bytes(content))


def remove_a_file(folder: Path) -> None:
    (folder / "state.json").unlink()


@pytest.mark.parametrize("tear", [truncate, remove_manifest, garble_manifest, flip_a_byte, remove_a_file])
def test_a_torn_one_is_passed_over_with_a_complaint(
    tmp_path: Path, data: Path, tear: Callable[[Path], None]
) -> None:
    config = tiny(tmp_path / "run", data, save_every=2, zeroshot_frequency=1)
    out = train(config, stop_at(5), lambda said: None)
    assert steps_of(out) == [4, 5]
    torn = out / "checkpoints" / "step-00000005"
    tear(torn)
    saved, complaints = checkpoint.newest(out)
    assert saved is not None
    assert saved.step == 4
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{torn} is not whole (")
    said: list[str] = []
    resume_training(out, say=said.append)
    assert said == complaints
    whole = train(replace(config, out=str(tmp_path / "whole")), say=lambda said: None)
    assert newest_files(out) == newest_files(whole)


def test_when_all_are_torn_it_says_so_and_starts_again(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "run", data, zeroshot_frequency=1), stop_at(2), lambda said: None)
    flip_a_byte(out / "checkpoints" / "step-00000002")
    said: list[str] = []
    resume_training(out, say=said.append)
    assert len(said) == 2
    assert "was altered" in said[0]
    assert "starts from the beginning" in said[1]


@pytest.mark.parametrize("limit", [100, 40_000])
def test_the_system_refuses_to_write(session: Session, limit: int) -> None:
    """The first file, or a later one: the checkpoint before stays, nothing half-made lies about."""
    save(session, 1)
    with (
        full_disk(limit),
        pytest.raises(SightwordError, match=r"could not write .*what was saved before is whole"),
    ):
        save(session, 2)
    saved, complaints = checkpoint.newest(session.out)
    assert saved is not None
    assert (saved.step, complaints) == (1, [])
    assert [p.name for p in (session.out / "checkpoints").iterdir()] == ["step-00000001"]
    save(session, 2)
    assert steps_of(session.out) == [1, 2]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left on device")],
)
def test_a_full_disk_stops_the_run_with_the_previous_whole(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real, calls = storage.save_file, [0]

    def fails_later(*arguments: object) -> None:
        calls[0] += 1
        if calls[0] > 1:  # the second checkpoint
            raise error
        real(*arguments)

    config = tiny(tmp_path / "run", data, save_every=2)
    monkeypatch.setattr(storage, "save_file", fails_later)
    with pytest.raises(SightwordError, match="No space left on device") as found:
        train(config, say=lambda said: None)
    assert "\n" not in str(found.value)
    saved, complaints = checkpoint.newest(tmp_path / "run")
    assert saved is not None
    assert (saved.step, complaints) == (2, [])
    monkeypatch.setattr(storage, "save_file", real)
    out = resume_training(tmp_path / "run", say=lambda said: None)
    whole = train(replace(config, out=str(tmp_path / "whole")), say=lambda said: None)
    assert newest_files(out) == newest_files(whole)


def test_published_weights_survive_a_full_disk(session: Session) -> None:
    file = checkpoint.save_encoders(session.out, session.model.encoders, {"step": 1})
    before = file.read_bytes()
    with full_disk(1000), pytest.raises(SightwordError, match=r"model\.safetensors"):
        checkpoint.save_encoders(session.out, session.model.encoders, {"step": 2})
    assert file.read_bytes() == before
    assert not list(session.out.glob(".model*"))


def test_equal_weights_are_equal_files(session: Session) -> None:
    """Whatever the order in which a library keeps its metadata."""
    about = {name: name for name in ("step", "samples", "flops", "objective", "a", "b", "c")}
    files = {
        checkpoint.save_encoders(session.out, session.model.encoders, about).read_bytes() for _ in range(8)
    }
    assert len(files) == 1


def test_what_a_kill_left_half_written_is_removed(session: Session) -> None:
    left = session.out / "checkpoints" / ".writing-step-00000007"
    left.mkdir(parents=True)
    (left / "rank-00000.safetensors").write_bytes(b"half")
    assert checkpoint.newest(session.out) == (None, [])
    save(session, 8)
    assert not left.exists()


@pytest.mark.parametrize(
    ("objective", "image", "says"),
    [
        ("clip", {"width": 32}, r"is \(.*\), wanted \("),
        (f"clip + {SIMCLR}", {}, r"objectives\.simclr\.projector\S* is missing"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(
    tmp_path: Path, data: Path, objective: str, image: dict[str, int], says: str
) -> None:
    config = tiny(tmp_path / "run", data, zeroshot_frequency=1)
    out = train(config, stop_at(2), lambda said: None)
    before = newest_files(out)
    model = replace(config.model, image=replace(config.model.image, **image))
    (out / "config.toml").write_text(to_toml(replace(config, objective=objective, model=model)))
    with pytest.raises(SightwordError, match=says) as found:
        resume_training(out, say=lambda said: None)
    assert "are of another model" in str(found.value)
    assert "\n" not in str(found.value)
    assert newest_files(out) == before


def test_weights_that_are_too_many_are_named(tmp_path: Path, data: Path) -> None:
    config = tiny(tmp_path / "run", data, f"clip + {MAE}", zeroshot_frequency=1)
    out = train(config, stop_at(2), lambda said: None)
    (out / "config.toml").write_text(to_toml(replace(config, objective="clip")))
    with pytest.raises(SightwordError, match=r"objectives\.mae\S* is unknown and \d+ more"):
        resume_training(out, say=lambda said: None)


def test_nothing_is_pickled(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something is unpickled")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(torch, "save", refuse)
    monkeypatch.setattr("pickle.load", refuse)
    monkeypatch.setattr("pickle.loads", refuse)
    config = tiny(tmp_path / "run", data, zeroshot_frequency=1)
    out = train(config, stop_at(2), lambda said: None)
    resume_training(out, say=lambda said: None)
    kinds = {p.suffix for p in (out / "checkpoints").rglob("*") if p.is_file()}
    assert kinds == {".json", ".safetensors"}
    for path in (out / "checkpoints").rglob("*.safetensors"):
        assert load_file(path)


def test_everything_is_on_the_disk_before_it_has_its_name(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure after the renaming finds whole files behind the name."""
    synced, renamed = list[str](), list[tuple[str, set[str]]]()

    def sync(path: Path) -> None:
        synced.append(path.name)

    def replace(old: Path, new: Path) -> None:
        renamed.append((new.name, set(synced)))
        old.rename(new)

    monkeypatch.setattr(checkpoint, "sync", sync)
    monkeypatch.setattr(storage, "sync", sync)
    monkeypatch.setattr(checkpoint.os, "replace", replace)
    save(session, 3)
    checkpoint.save_encoders(session.out, session.model.encoders, {})
    files = {"rank-00000.safetensors", "index.json", "state.json", "manifest.json"}
    folder = ("step-00000003", files | {".writing-step-00000003"})
    assert renamed[0] == folder
    assert renamed[1][0] == "model.safetensors"
    assert ".model.safetensors.writing" in renamed[1][1]
    assert {"checkpoints", session.out.name} <= set(synced)


def test_the_manifest_names_every_file(session: Session) -> None:
    path = save(session, 1)
    rows = json.loads((path / "manifest.json").read_text())
    assert set(rows) | {"manifest.json"} == {p.name for p in path.iterdir()}
    shutil.copytree(path, path.with_name("step-00000002"))
    saved, _ = checkpoint.newest(session.out)
    assert saved is not None
    assert saved.state == {"step": 1, "flops": 0.1}
