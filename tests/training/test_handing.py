"""Batches moved one ahead: the same ones in the same order, whatever moves them, and errors on their turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import TracebackType

import pytest
import torch
from tiny_runs import SIMCLR, opened

from sightword.config import DataConfig
from sightword.errors import SightwordError
from sightword.training import loop as loop_room
from sightword.training import supply as supply_room
from sightword.training.handing import Handed, Ready, beside, tensors
from sightword.training.loop import Loop
from sightword.training.session import Session
from sightword.training.supply import Supply, fetched
from sightword.views.on_device import finished
from sightword.words import Batch, Colours, Task

TURNS = 20.0  # seconds that a thread is given


@pytest.fixture
def session(tmp_path: Path, data: Path) -> Session:
    return opened(tmp_path / "run", data, f"clip + {SIMCLR}")


class Noted:
    """A move that leaves batches where they are, and remembers."""

    def __init__(self) -> None:
        self.moved: list[int] = []
        self.ready: list[int] = []

    def __call__(self, batch: Batch) -> tuple[Batch, Ready]:
        self.moved.append(batch.step)
        return batch, lambda: self.ready.append(batch.step)


class Failing(Supply):
    """A supply of two batches and an error."""

    def __init__(self, batches: list[Batch], error: Exception) -> None:  # nothing of a real one is needed
        self._given, self._error = iter(batches), error
        self.left: type[BaseException] | None = None

    def __enter__(self) -> Failing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = kind

    def __next__(self) -> Batch:
        for batch in self._given:
            return batch
        raise self._error


def supply(session: Session, first: int, total: int, workers: int = 1) -> Supply:
    return Supply(session.steps(None), first, total, DataConfig(workers=workers), cuda=False)


def reached(what: list[int], wanted: list[int]) -> bool:
    deadline = time.monotonic() + TURNS
    while what != wanted and time.monotonic() < deadline:
        time.sleep(0.005)
    return what == wanted


def test_every_batch_comes_once_and_in_order_and_the_next_is_on_its_way(session: Session) -> None:
    move, steps = Noted(), session.steps(None)
    with Handed(supply(session, 2, 6), move) as handed:
        for number in range(2, 6):
            batch = next(handed)
            assert torch.equal(batch.ids, steps[number].ids)
            assert move.ready == list(range(2, number + 1)), (
                "the next is not taken over before it is asked for"
            )
            assert reached(move.moved, list(range(2, min(number + 2, 6)))), "one ahead, and no more"
        assert list(handed) == []


def test_moving_is_done_by_another_thread(session: Session) -> None:
    names = []

    def move(batch: Batch) -> tuple[Batch, Ready]:
        names.append(threading.current_thread().name)
        return batch, lambda: None

    with Handed(supply(session, 0, 3), move) as handed:
        assert len(list(handed)) == 3
    assert all(name.startswith("handing") for name in names)
    assert not any(thread.name.startswith("handing") for thread in threading.enumerate())


def test_an_error_comes_on_its_turn(session: Session) -> None:
    steps = session.steps(None)
    failing = Failing([steps[0], steps[1]], SightwordError("too much is unreadable"))
    with Handed(failing, Noted()) as handed:
        for number in range(2):
            batch, error = fetched(handed)
            assert batch is not None, error
            assert batch.step == number
        batch, error = fetched(handed)
    assert batch is None
    assert str(error) == "too much is unreadable"


def test_the_supply_hears_of_the_error_that_ends_training(session: Session) -> None:
    failing = Failing([session.steps(None)[0]], RuntimeError("DataLoader worker (pid 7) is killed"))
    with pytest.raises(RuntimeError, match="pid 7"), Handed(failing, Noted()) as handed:
        list(handed)
    assert failing.left is RuntimeError


def test_more_workers_lose_no_batch(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply_room, "cores", lambda: 3)
    steps, seen = session.steps(None), []
    with Handed(supply(session, 0, 9, workers=-1), Noted()) as handed:
        for number in range(9):
            seen.append(next(handed))
            if number == 3:
                assert handed.heed(0.5, 1.0, {"decode": 9.0}, 50) == 3
    assert [batch.step for batch in seen] == list(range(9))
    assert all(torch.equal(batch.ids, steps[batch.step].ids) for batch in seen)


def test_left_early_it_ends(session: Session) -> None:
    with Handed(supply(session, 0, 1000, workers=2), Noted()) as handed:
        next(handed)
    assert not any(thread.name.startswith("handing") for thread in threading.enumerate())


def moved_in(what: object) -> Iterator[torch.Tensor]:
    """Every tensor on the meta device, however deep."""
    if isinstance(what, torch.Tensor):
        yield from [what] if what.is_meta else []
    elif isinstance(what, Mapping):
        for value in what.values():
            yield from moved_in(value)
    elif is_dataclass(what):
        for field in fields(what):
            yield from moved_in(getattr(what, field.name))


def test_all_that_is_moved_is_named(session: Session) -> None:
    """What is not named could lose its memory to a later copy on a GPU."""
    batch = session.steps(None)[0]
    colours = Colours((Task("gray", 1),), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 1))
    batch = replace(batch, finish={next(iter(batch.views)): colours})
    batch = replace(batch, sight=batch).to("meta")
    wanted = list(map(id, moved_in(batch)))
    assert len(wanted) > 2 * (len(batch.views) + len(batch.captions))
    assert sorted(map(id, tensors(batch))) == sorted(wanted)


def test_steps_wait_for_what_the_copying_stream_recorded(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for whom, by streams that only note it: there is no GPU here."""
    told: list[str] = []

    class Stream:
        def __init__(self, device: torch.device) -> None:
            self.name = str(device)

        def record_event(self) -> str:
            told.append(f"recorded on {self.name}")
            return "arrived"

        def wait_event(self, event: str) -> None:
            told.append(f"{self.name} waits for {event}")

    @contextmanager
    def entered(what: object) -> Iterator[None]:
        told.append("enter")
        yield
        told.append("leave")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "device", entered)
    monkeypatch.setattr(torch.cuda, "stream", entered)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("steps"))  # type: ignore[arg-type]
    batch, ready = beside(torch.device("cpu"))(session.steps(None)[0])
    assert told == ["enter", "enter", "recorded on cpu", "leave", "leave"]
    ready()
    assert told[5:] == ["steps waits for arrived"]
    assert not batch.finish


def test_a_run_on_a_gpu_is_handed_its_batches(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, move, asked = Loop(session), Noted(), list[torch.device]()
    monkeypatch.setattr(loop_room, "beside", lambda device: asked.append(device) or move)
    assert type(loop._batches(session.steps(None), 0, 3)) is Supply
    assert not asked
    loop.session = replace(session, device=torch.device("cuda", 1))
    batches = loop._batches(session.steps(None), 0, 3)
    assert isinstance(batches, Handed)
    assert batches._move is move
    assert asked == [torch.device("cuda", 1)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_beside_the_steps_of_a_gpu_the_same_numbers_arrive(session: Session) -> None:
    device, steps = torch.device("cuda", 0), session.steps(None)
    busy = torch.randn(4096, 4096, device=device)
    with Handed(Supply(steps, 0, 8, DataConfig(workers=1), cuda=True), beside(device)) as handed:
        for number, batch in enumerate(handed):
            for _ in range(20):
                busy = busy @ busy / 64  # kernels that batches pass by
            wanted = finished(steps[number])
            for view, images in wanted.views.items():
                assert torch.equal(batch.views[view].cpu(), images)
            for caption, words in wanted.captions.items():
                assert torch.equal(batch.captions[caption].ids.cpu(), words.ids)
    torch.cuda.synchronize()
