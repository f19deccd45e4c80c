"""Batches are pure functions of (seed, step), whoever makes them; what is unreadable is replaced and told."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import MAE, SIMCLR, opened, shard, tiny

from sightword.config import DataConfig
from sightword.errors import BadSample, SightwordError
from sightword.training import supply as supply_room
from sightword.training.feed import Steps, open_store
from sightword.training.loop import train
from sightword.training.session import Session
from sightword.training.supply import Supply, load_steps, thread_steps
from sightword.views import named
from sightword.words import Batch, Caption


def assert_same(one: Batch, other: Batch) -> None:
    assert (one.step, one.epoch, one.keys, one.seed, one.bad) == (
        other.step,
        other.epoch,
        other.keys,
        other.seed,
        other.bad,
    )
    assert torch.equal(one.ids, other.ids)
    assert list(one.views) == list(other.views)
    assert all(torch.equal(images, other.views[view]) for view, images in one.views.items())
    assert list(one.captions) == list(other.captions)
    for caption, words in one.captions.items():
        assert torch.equal(words.ids, other.captions[caption].ids)
        assert torch.equal(words.lengths, other.captions[caption].lengths)


def loaded(steps: Steps, start: int, total: int, workers: int) -> list[Batch]:
    with load_steps(steps, start, total, workers, cuda=False) as batches:
        return list(batches)


@pytest.fixture
def session(tmp_path: Path, data: Path) -> Session:
    return opened(tmp_path / "run", data, f"clip + {SIMCLR}")


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_make_the_same(session: Session, workers: int) -> None:
    steps = session.steps(None)
    wanted = [steps[step] for step in range(7)]
    with thread_steps(session.steps(None), 2, 7, workers, cuda=False) as batches:
        for ours, theirs in zip(batches, wanted[2:], strict=True):
            assert_same(ours, theirs)


def test_threads_that_are_left_early_end(session: Session) -> None:
    with thread_steps(session.steps(None), 0, 100, 2, cuda=False) as batches:
        next(batches)
    deadline = time.monotonic() + 20
    while any(thread.name.startswith("loader") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("loaders", ["threads", "processes"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_supply_gives_every_step_and_the_user_rules(session: Session, loaders: str, workers: int) -> None:
    steps = session.steps(None)
    config = DataConfig(workers=workers, loaders=loaders)  # type: ignore[arg-type]
    with Supply(steps, 1, 9, config, cuda=False) as supply:
        for step in range(1, 9):
            assert_same(next(supply), steps[step])
            assert supply.heed(0.9, 1.0, {"decode": 9.0}, 50) == 0


def test_workers_are_added_where_training_waits(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply_room, "cores", lambda: 6)
    steps = session.steps(None)
    with Supply(steps, 0, 9, DataConfig(workers=-1), cuda=False) as supply:
        assert supply.workers == 1
        assert_same(next(supply), steps[0])
        assert supply.heed(0.05, 1.0, {"decode": 3.0}, 50) == 0, "it does not wait"
        assert supply.heed(0.5, 1.0, {"decode": 0.3}, 50) == 0, "one is enough"
        assert supply.heed(0.5, 1.0, {"decode": 1.0, "views": 0.5}, 3) == 0, "too short to tell"
        assert supply.heed(0.5, 1.0, {"decode": 1.0, "views": 0.5}, 50) == 4  # 1.2 * 1.5 / 0.5
        assert supply.heed(0.5, 1.0, {"decode": 9.0}, 50) == 6, "no more than processors"
        for step in range(1, 9):
            assert_same(next(supply), steps[step])


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_and_any_start(session: Session, workers: int) -> None:
    steps = session.steps(None)
    wanted = [steps[step] for step in range(7)]
    for start in (0, 4):
        found = loaded(steps, start, 7, workers)
        assert [batch.step for batch in found] == list(range(start, 7))
        for ours, theirs in zip(found, wanted[start:], strict=True):
            assert_same(ours, theirs)


def test_a_store_of_decoded_pictures_changes_nothing(session: Session) -> None:
    store = open_store(session.pairs, 100.0)
    assert store is not None
    for step in (0, 6):
        assert_same(session.steps(store)[step], session.steps(None)[step])


def test_a_copy_in_another_process_makes_the_same(session: Session) -> None:
    """Where processes are not forked, workers get the data set through pickle."""
    steps = session.steps(None)
    assert_same(pickle.loads(pickle.dumps(steps))[3], steps[3])


def test_the_seed_decides(tmp_path: Path, data: Path, session: Session) -> None:
    other = opened(tmp_path / "other", data, f"clip + {SIMCLR}", seed=1).steps(None)[0]
    mine = session.steps(None)[0]
    assert not torch.equal(mine.ids, other.ids)
    assert other.seed == 1


def test_an_epoch_sees_every_sample_once_and_the_next_in_other_views(session: Session) -> None:
    steps = session.steps(None)
    batches = [steps[step] for step in range(10)]
    assert [batch.epoch for batch in batches] == [0] * 5 + [1] * 5
    for epoch in (batches[:5], batches[5:]):
        assert sorted(torch.cat([b.ids for b in epoch]).tolist()) == list(range(40))
    view = named.language(16)
    first = {int(i): image for b in batches[:5] for i, image in zip(b.ids, b.views[view], strict=True)}
    second = {int(i): image for b in batches[5:] for i, image in zip(b.ids, b.views[view], strict=True)}
    assert sum(torch.equal(first[i], second[i]) for i in range(40)) < 4


def test_runs_of_other_objectives_share_what_both_want(tmp_path: Path, data: Path, session: Session) -> None:
    other = opened(tmp_path / "other", data, f"{MAE} + clip").steps(None)[2]
    mine = session.steps(None)[2]
    assert torch.equal(mine.ids, other.ids)
    view = named.language(16)
    assert torch.equal(mine.views[view], other.views[view])
    assert torch.equal(mine.captions[Caption()].ids, other.captions[Caption()].ids)


def broken(tmp_path: Path, numbers: tuple[int, ...], count: int = 40, **changes: object) -> Session:
    path = shard(tmp_path / f"broken-{len(numbers)}.tar", count, broken=numbers)
    return opened(tmp_path / f"run-{len(numbers)}", path, **changes)


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_unreadable_are_replaced_by_neighbours_outside_the_batch(tmp_path: Path, in_memory: bool) -> None:
    numbers = (3, 4, 5, 6, 7, 8, 20)
    session = broken(tmp_path, numbers)
    steps = session.steps(open_store(session.pairs, 100.0) if in_memory else None)
    told: dict[str, str] = {}
    for step in range(5):
        batch = steps[step]
        _, wanted = session.order.batch(step, 8)
        for asked, got in zip(wanted.tolist(), batch.ids.tolist(), strict=True):
            if asked in numbers:
                assert got not in {*numbers, *wanted.tolist()}
            else:
                assert got == asked
        pieces = [replace(steps, rank=rank, ranks=4)[step] for rank in range(4)]
        assert [id for piece in pieces for id in piece.ids.tolist()] == batch.ids.tolist()
        assert [one for piece in pieces for one in piece.bad] == list(batch.bad)
        assert batch.keys == tuple(f"{i:04}" for i in batch.ids)
        told |= dict(batch.bad)
    assert max(len(steps[step].bad) for step in range(5)) > 1, "no batch has two to replace"
    assert set(told) == {f"{number:04}" for number in numbers}
    assert all(told.values())
    view = named.language(16)
    whole = opened(tmp_path / "whole", shard(tmp_path / "whole.tar")).steps(None)
    clean = [b for b in range(5) if not steps[b].bad]
    for step in clean:
        assert torch.equal(steps[step].views[view], whole[step].views[view])


def test_a_batch_of_the_whole_data_set_shows_a_neighbour_twice(tmp_path: Path) -> None:
    session = broken(tmp_path, (5,), count=12, batch_size=12)
    batch = session.steps(None)[0]
    _, wanted = session.order.batch(0, 12)
    shown = int(batch.ids[wanted.tolist().index(5)])  # as good as any: all are in it
    assert shown != 5
    assert sorted(batch.ids.tolist()) == sorted([*range(5), *range(6, 12), shown])


def test_a_caption_that_the_disk_does_not_give_is_a_bad_sample(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, pairs = open_store(session.pairs, 100.0), type(session.pairs)
    real = pairs.text

    def fails(self: object, i: int) -> object:
        if int(i) == 7:
            raise BadSample("0007", "cannot be read: Input/output error")
        return real(self, i)  # type: ignore[arg-type]

    monkeypatch.setattr(pairs, "text", fails)
    found = [session.steps(store)[step] for step in range(5)]
    assert 7 not in {i for batch in found for i in batch.ids.tolist()}
    assert [bad for batch in found for bad in batch.bad] == [("0007", "cannot be read: Input/output error")]


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_readable_is_one_line(tmp_path: Path, workers: int) -> None:
    session = broken(tmp_path, tuple(range(40)))
    with pytest.raises(SightwordError, match="samples in a row are unreadable, the last") as found:
        loaded(session.steps(None), 0, 2, workers)
    assert "\n" not in str(found.value)
    assert "Traceback" not in str(found.value)


def test_a_run_notes_them_once(tmp_path: Path) -> None:
    path = shard(tmp_path / "pairs.tar", broken=(3, 20))
    config = tiny(tmp_path / "run", path, steps=12)
    out = train(replace(config, data=replace(config.data, max_bad=0.2)), say=lambda said: None)
    entries = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert sorted(entry["key"] for entry in entries) == ["0003", "0020"]
    assert all(entry["reason"] for entry in entries)


def test_too_many_stop_the_run(tmp_path: Path) -> None:
    path = shard(tmp_path / "pairs.tar", broken=tuple(range(0, 40, 4)))
    config = tiny(tmp_path / "run", path, steps=30, save_every=1)
    with pytest.raises(SightwordError, match=r"of 40 samples are unreadable, more than max_bad = 0\.01"):
        train(config, say=lambda said: None)
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_a_worker_that_dies_is_one_line(session: Session) -> None:
    class Deadly(Steps):
        def __getitem__(self, step: int) -> Batch:
            os._exit(9)

    deadly = Deadly(**vars(session.steps(None)))
    with pytest.raises(SightwordError, match="a loader process died") as found:
        loaded(deadly, 0, 2, 1)
    assert "\n" not in str(found.value)


def test_other_errors_stay_what_they_are(session: Session) -> None:
    class Faulty(Steps):
        def __getitem__(self, step: int) -> Batch:
            raise RuntimeError("our own mistake")

    with pytest.raises(RuntimeError, match="our own mistake"):
        loaded(Faulty(**vars(session.steps(None))), 0, 2, 0)


def test_no_worker_is_left_behind(session: Session) -> None:
    """Also when the loop leaves early by an error, whose traceback still holds on to the batches."""
    held = []

    def leave_early() -> None:
        with load_steps(session.steps(None), 0, 6, 2, cuda=False) as batches:
            held.append(batches)
            next(batches)
            assert len(multiprocessing.active_children()) >= 2
            raise SightwordError("enough")

    before = set(multiprocessing.active_children())
    with pytest.raises(SightwordError, match="enough"):
        leave_early()
    assert set(multiprocessing.active_children()) <= before


def test_pictures_are_kept_in_memory_only_when_all_fit(session: Session) -> None:
    size = 40 * 20 * 20 * 3 / 2**20
    assert open_store(session.pairs, 1.01 * size) is not None
    assert open_store(session.pairs, 0.99 * size) is None
    assert open_store(session.pairs, 0.0) is None


def test_a_look_at_a_few_pictures_is_enough(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large data set is not decoded until memory runs out."""
    read: list[int] = []
    pairs = type(session.pairs)
    real = pairs.__getitem__

    def noted(self: object, i: int) -> object:
        read.append(int(np.int64(i)))
        return real(self, i)  # type: ignore[arg-type]

    monkeypatch.setattr(pairs, "__getitem__", noted)
    open_store(session.pairs, 0.01)
    assert 0 < len(set(read)) == len(read) <= 32
    assert {0, 39} <= set(read)
