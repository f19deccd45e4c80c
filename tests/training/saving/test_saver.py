"""Saving beside training: it keeps the moment, holds nothing up, and fails in every process or in none."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
import torch.distributed as dist
from resharding import Kept, everything, whole
from safetensors.torch import load_file, save_file
from tiny_runs import full_disk, opened

from sightword.errors import SightwordError
from sightword.training.saving import checkpoint, saver, storage
from sightword.training.saving.saver import Saver
from sightword.training.session import Session


@pytest.fixture
def session(tmp_path: Path, data: Path) -> Session:
    return opened(tmp_path / "run", data)


def save(to: Saver, session: Session, step: int) -> Path:
    return to.save(session.model, session.optimizer, {"step": step}, {"step": step})


def steps_of(out: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in sorted((out / "checkpoints").glob("step-*"))]


def weights(session: Session) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in session.model.encoders.state_dict().items()}


def train_a_little(session: Session) -> None:
    with torch.no_grad():
        for parameter in session.model.parameters():
            parameter.add_(1.0)


def assert_published(out: Path, step: int, wanted: dict[str, torch.Tensor]) -> None:
    """The newest checkpoint and `model.safetensors` are both of this step and of these weights."""
    saved, complaints = checkpoint.newest(out)
    assert saved is not None
    assert (saved.step, complaints) == (step, [])
    tensors = load_file(saved.path / "rank-00000.safetensors")
    kept = load_file(out / "model.safetensors")
    assert kept.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(kept[name], tensor), name
        assert torch.equal(tensors[f"model/encoders.{name}"], tensor), name


@contextmanager
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that takes nothing until the event is set."""
    real, go = storage.save_file, threading.Event()

    def slow(*arguments: Any) -> None:
        assert go.wait(60)
        real(*arguments)

    monkeypatch.setattr(storage, "save_file", slow)
    try:
        yield go
    finally:
        go.set()


def test_a_slow_disk_holds_nothing_up_and_the_moment_is_kept(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Saver(session.out, 2) as saving, held_up(monkeypatch) as go:
        then = weights(session)
        path = save(saving, session, 1)
        train_a_little(session)
        assert not path.exists()
        assert saving.published() == []
        assert saving.fault() is None
        go.set()
        saving.wait()
        assert_published(session.out, 1, then)
        (published,) = saving.published()
    assert (published.path, published.step) == (path, 1)
    assert 0 < published.blocked_seconds < published.seconds
    assert published.bytes == sum(file.stat().st_size for file in path.iterdir())


def test_a_second_save_waits_for_the_first(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would write its copies over those of the first."""
    with Saver(session.out, 2) as saving, held_up(monkeypatch) as go:
        save(saving, session, 1)
        train_a_little(session)
        then = weights(session)
        second = threading.Thread(target=save, args=(saving, session, 2))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        folder = session.out / "checkpoints"
        assert [path.name for path in folder.iterdir()] == [".writing-step-00000001"]
        go.set()
        second.join(60)
        saving.wait()
        assert [one.step for one in saving.published()] == [1, 2]
        assert_published(session.out, 2, then)


def test_leaving_waits(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    then = weights(session)
    with held_up(monkeypatch) as go, Saver(session.out, 2) as saving:
        save(saving, session, 1)
        threading.Timer(0.1, go.set).start()
    assert_published(session.out, 1, then)


def test_equal_weights_are_equal_files(session: Session) -> None:
    """Beside training as in it."""
    with Saver(session.out, 0) as saving:
        path = save(saving, session, 1)
    first = {file.name: file.read_bytes() for file in path.iterdir()}
    again = checkpoint.save(session.out, session.model, session.optimizer, {"step": 1}, 0)
    assert first == {file.name: file.read_bytes() for file in again.iterdir()}
    file = session.out / "model.safetensors"
    before = file.read_bytes()
    checkpoint.save_encoders(session.out, session.model.encoders, {"step": 1})
    assert file.read_bytes() == before


def test_a_full_disk_is_told_when_it_is_waited_for_and_ever_after(session: Session) -> None:
    saving, then = Saver(session.out, 2), weights(session)
    save(saving, session, 1)
    saving.wait()
    train_a_little(session)
    with full_disk(10_000):
        save(saving, session, 2)
        with pytest.raises(SightwordError, match=r"could not write .*what was saved before is whole") as told:
            saving.wait()
    assert "\n" not in str(told.value)
    assert str(saving.fault()) == str(told.value)
    with pytest.raises(SightwordError) as again:
        save(saving, session, 3)
    assert str(again.value) == str(told.value)
    assert_published(session.out, 1, then)
    assert steps_of(session.out) == [1]
    assert not list(session.out.glob(".model*"))
    with pytest.raises(SightwordError, match="could not write"), saving:
        pass
    with pytest.raises(KeyError), saving:  # what ends a run is told, not what followed from it
        raise KeyError


def test_weights_that_cannot_be_replaced_stay_as_they_were(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving = Saver(session.out, 2)
    save(saving, session, 1)
    saving.wait()
    before = (session.out / "model.safetensors").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    train_a_little(session)
    save(saving, session, 2)
    with pytest.raises(SightwordError, match=r"model\.safetensors.*No space left"):
        saving.wait()
    assert (session.out / "model.safetensors").read_bytes() == before
    assert steps_of(session.out) == [1, 2]


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half(tensors: dict[str, torch.Tensor], file: Path, *more: Any) -> None:
    """A file that ends in the middle, and then the process does."""
    save_file(tensors, file, *more)
    content = Path(file).read_bytes()
    Path(file).write_bytes(content[: len(content) // 2])
    die()


MOMENTS: dict[str, tuple[Any, str, Callable[..., None], int]] = {
    "in the middle of the tensors": (storage, "save_file", half, 1),
    "before the manifest": (storage, "write_manifest", die, 1),
    "before the name": (storage.os, "replace", die, 1),
    "before the weights for use": (saver, "write_encoders", die, 2),
    "in the middle of these": (checkpoint, "save_file", half, 2),
}


def killed_at(moment: str, session: Session) -> None:
    where, name, does, _ = MOMENTS[moment]
    setattr(where, name, does)  # this process ends by it
    with Saver(session.out, 2) as saving:
        save(saving, session, 2)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_any_moment_leaves_what_was_before_or_what_is_new(session: Session, moment: str) -> None:
    """SIGKILL from within the thread that writes; then a new process goes on as if nothing had been."""
    then = weights(session)
    with Saver(session.out, 2) as saving:
        save(saving, session, 1)
    before = (session.out / "model.safetensors").read_bytes()
    train_a_little(session)
    process = multiprocessing.get_context("fork").Process(target=killed_at, args=(moment, session))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    saved, complaints = checkpoint.newest(session.out)
    assert saved is not None
    assert (saved.step, complaints) == (MOMENTS[moment][3], [])
    checkpoint.restore(saved, session.model, session.optimizer)
    moved = {name: tensor if saved.step == 1 else tensor + 1 for name, tensor in then.items()}
    assert all(torch.equal(tensor, moved[name]) for name, tensor in weights(session).items())
    assert (session.out / "model.safetensors").read_bytes() == before
    with Saver(session.out, 2) as saving:
        save(saving, session, 3)
    assert_published(session.out, 3, weights(session))
    assert not list((session.out / "checkpoints").glob(".*"))


RANKS = 2


def in_pieces(out: Path) -> tuple[Kept, torch.optim.AdamW]:
    """Joined to the others; the model in pieces, the optimizer with state."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    model = Kept(0)
    model.conv.to(memory_format=torch.contiguous_format)
    mesh = init_device_mesh("cpu", (RANKS,))
    fully_shard(model.block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    model(torch.ones(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    return model, optimizer


def together(rank: int, folder: str) -> None:
    """Save in pieces; then the second process has a full disk; then it is killed."""
    out = Path(folder) / "run"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS)
    model, optimizer = in_pieces(out)
    kept = {name: whole(tensor).clone() for name, tensor in model.block.state_dict().items()}
    with Saver(out, 2) as saving:
        saving.save(model, optimizer, {"step": 1}, {"step": 1})  # type: ignore[arg-type]
        torch.manual_seed(1)
        model(torch.ones(2, 3, 5, 5)).sum().backward()  # training's collectives meanwhile
        optimizer.step()
    dist.barrier()
    if rank == 0:
        found = load_file(out / "model.safetensors")
        assert all(torch.equal(found[name], kept[name]) for name in kept), "of another step"
    saving = Saver(out, 2)
    with full_disk(100) if rank == 1 else full_disk(resource.RLIM_INFINITY):
        saving.save(model, optimizer, {"step": 2}, {})  # type: ignore[arg-type]
        try:
            saving.wait()
            told = "nothing"
        except SightwordError as error:
            told = str(error)
    (out / f"told{rank}").write_text(told)
    dist.barrier()
    assert steps_of(out) == [1]
    saving = Saver(out, 2)
    if rank == 1:
        storage.save_file = die
    saving.save(model, optimizer, {"step": 3}, {})  # type: ignore[arg-type]
    try:
        saving.wait()
        lost = "nothing"
    except SightwordError as error:
        lost = str(error)
    (out / "lost").write_text(lost)
    os._exit(0)


@pytest.mark.slow
def test_what_one_process_meets_all_raise(tmp_path: Path) -> None:
    context = processes.start(together, (str(tmp_path),), RANKS, join=False)
    for process in context.processes:
        process.join(120)
    assert [process.exitcode for process in context.processes] == [0, -signal.SIGKILL]
    out = tmp_path / "run"
    told = [(out / f"told{rank}").read_text() for rank in range(RANKS)]
    assert "could not write" in told[0]
    assert told[0] == told[1]
    lost = (out / "lost").read_text()
    assert "lost each other while they saved" in lost
    assert "\n" not in lost
    saved, complaints = checkpoint.newest(out)
    assert saved is not None
    assert (saved.step, complaints) == (1, [])
    alone = Kept(3)
    optimizer = torch.optim.AdamW([p for p in alone.parameters() if p.requires_grad], fused=True)
    checkpoint.restore(saved, alone, optimizer)
    found = load_file(out / "model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in alone.block.state_dict().items())
    assert "o block.0.weight exp_avg" in everything(alone, optimizer)
