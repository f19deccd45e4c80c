"""SLIP's decoupled variant: terms without captions learn from other pictures (`--sight-data`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import (
    MAE,
    SIMCLR,
    assert_same_tensors,
    newest_files,
    opened,
    plain,
    shard,
    stop_at,
    tiny,
)

from sightword import masking
from sightword.config import Config, to_toml
from sightword.errors import SightwordError
from sightword.pairs.sources import open_pairs
from sightword.training.caching import forward_backward
from sightword.training.feed import open_store
from sightword.training.flops import step_flops
from sightword.training.loop import Loop, resume_training, train
from sightword.training.records import read_records
from sightword.training.session import Session, begin
from sightword.training.showing import save_pictures
from sightword.training.supply import load_steps
from sightword.training.together.engine import Engine
from sightword.views import named
from sightword.words import Batch, Caption, Masking

SLIP = f"clip + {SIMCLR}"
STRONG = [named.strong(16, draw) for draw in (0, 1)]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """56 other pictures: seven batches an epoch, where the pairs have five."""
    return shard(tmp_path_factory.mktemp("other") / "pictures.tar", 56, size=24)


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


def decoupled(out: Path, data: Path, sight: Path | str, objective: str = SLIP, **changes: Any) -> Config:
    config = tiny(out, data, objective, **changes)
    return replace(config, data=replace(config.data, sight=str(sight)))


def with_data(config: Config, **changes: Any) -> Config:
    return replace(config, data=replace(config.data, **changes))


def term_losses(out: Path, name: str) -> list[float]:
    records = read_records(out / "metrics.jsonl")
    return [r["terms"][name]["loss"] for r in records if r["kind"] == "step" and name in r["terms"]]


def assert_same_pictures(one: Batch, two: Batch) -> None:
    assert (one.step, one.epoch, one.keys, one.seed) == (two.step, two.epoch, two.keys, two.seed)
    assert torch.equal(one.ids, two.ids)
    assert set(one.views) == set(two.views)
    assert all(torch.equal(images, two.views[view]) for view, images in one.views.items())


@pytest.fixture
def session(tmp_path: Path, data: Path, other: Path) -> Session:
    return begin(decoupled(tmp_path / "run", data, other))


def test_each_term_sees_its_own_pictures(tmp_path: Path, data: Path, other: Path, session: Session) -> None:
    """The pairs are those of a run of clip alone, the others those of a run of simclr alone on them."""
    assert {w.name: w.source for w in session.model.weighted} == {"clip": "pairs", "simclr": "sight"}
    pairs = opened(tmp_path / "clip", data).steps(None)
    pictures = opened(tmp_path / "simclr", other, SIMCLR).steps(None)
    epochs = set()
    for step in (0, 2, 5, 7):
        batch = session.steps(None)[step]
        assert batch.sight is not None
        assert_same_pictures(batch, pairs[step])
        assert torch.equal(batch.captions[Caption()].ids, pairs[step].captions[Caption()].ids)
        assert_same_pictures(batch.sight, pictures[step])
        assert list(batch.sight.views) == STRONG
        assert not batch.sight.captions
        epochs.add((batch.epoch, batch.sight.epoch))
    assert epochs == {(0, 0), (1, 0), (1, 1)}, "each source counts its own epochs"


def test_one_place_given_twice_is_read_in_two_orders(tmp_path: Path, data: Path) -> None:
    steps = begin(decoupled(tmp_path / "run", data, data)).steps(None)
    batches = [steps[step] for step in range(5)]
    assert all(set(b.keys) != set(b.sight.keys) for b in batches if b.sight)
    everything = [
        sorted(key for b in some for key in b.keys) for some in (batches, [b.sight for b in batches])
    ]
    assert everything[0] == everything[1], "an epoch of each is the same pictures"


def test_without_a_second_source_there_is_none(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data, SLIP)
    assert {w.source for w in session.model.weighted} == {"pairs"}
    assert session.steps(None)[0].sight is None


def test_the_other_pictures_change_no_number_of_clip(tmp_path: Path, data: Path, other: Path) -> None:
    """Beside a term that weighs nothing, to the bit; and at the first step beside one that weighs."""
    feather = f"clip + 1e-30 * {SIMCLR}"
    coupled = train(tiny(tmp_path / "coupled", data, feather), say=quiet)
    apart = train(decoupled(tmp_path / "apart", data, other, feather), say=quiet)
    assert term_losses(coupled, "clip") == term_losses(apart, "clip")
    assert not set(term_losses(coupled, "simclr")) & set(term_losses(apart, "simclr"))
    heavy = train(decoupled(tmp_path / "heavy", data, other, steps=2), say=quiet)
    assert term_losses(heavy, "clip")[0] == term_losses(apart, "clip")[0]
    assert term_losses(heavy, "clip")[1] != term_losses(apart, "clip")[1]


@pytest.mark.parametrize(("name", "objective"), [("simclr", SIMCLR), ("mae", MAE)])
def test_a_term_scores_what_it_would_alone(
    tmp_path: Path, data: Path, other: Path, name: str, objective: str
) -> None:
    """Against a run of that term alone on those pictures: views, targets and masks are of these samples."""
    both = begin(decoupled(tmp_path / "both", data, other, f"clip + {objective}"))
    alone = opened(tmp_path / "alone", other, objective)
    with torch.no_grad():
        ours = both.model(both.steps(None)[5]).terms[name].loss
        theirs = alone.model(alone.steps(None)[5]).terms[name].loss
        wrong = alone.model(alone.steps(None)[4]).terms[name].loss
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    assert abs(float(ours - wrong)) > 1e-3 * float(theirs)


def test_masks_are_keyed_by_the_ids_and_epochs_of_their_source(
    tmp_path: Path, data: Path, other: Path
) -> None:
    session = begin(decoupled(tmp_path / "run", data, other, f"clip + {MAE}"))
    batch = session.steps(None)[5]
    assert batch.sight is not None
    assert batch.epoch != batch.sight.epoch
    (hidden,) = (e.hidden for want, e in session.model.encode(batch).items() if want.keep is not None)
    expected, wrong = (
        masking.hidden(Masking(0.75), (4, 4), session.config.seed, one.ids.numpy(), one.epoch)
        for one in (batch.sight, batch)
    )
    assert hidden is not None
    assert torch.equal(hidden, expected)
    assert not torch.equal(hidden, wrong)


def test_captions_of_the_second_source_are_not_read(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sight = session.sight
    assert sight is not None
    real = type(sight).text

    def noted(self: object, i: int) -> object:
        assert self is not sight, "a caption of the second source was read"
        return real(self, i)  # type: ignore[arg-type]

    monkeypatch.setattr(type(sight), "text", noted)
    steps = session.steps(open_store(session.pairs, 100.0), open_store(sight, 100.0))
    assert steps[0].captions


def test_decoded_stores_and_workers_change_nothing(session: Session) -> None:
    assert session.sight is not None
    steps = session.steps(None)
    wanted = [steps[step] for step in range(7)]
    stored = session.steps(open_store(session.pairs, 100.0), open_store(session.sight, 100.0))
    mixed = session.steps(None, open_store(session.sight, 100.0))
    for source, workers in ((stored, 0), (mixed, 1), (steps, 2)):
        with load_steps(source, 0, 7, workers, cuda=False) as batches:
            for found, expected in zip(batches, wanted, strict=True):
                assert_same_pictures(found, expected)
                assert found.sight is not None
                assert expected.sight is not None
                assert_same_pictures(found.sight, expected.sight)


def test_the_memory_for_decoded_pictures_is_that_of_both(tmp_path: Path) -> None:
    """Each of two sets of 2.2 MiB fits into 4 MiB, both together do not."""
    one, two = (shard(tmp_path / f"{size}.tar", 60, size) for size in (112, 113))
    for room, both in ((4, False), (5, True)):
        config = with_data(decoupled(tmp_path / f"run{room}", one, two), cache_mib=room)
        steps = begin(config).all_steps()
        assert steps.store is not None
        assert steps.sight is not None
        assert (steps.sight.store is not None) == both


@pytest.mark.parametrize("chunks", [2, 3])
def test_chunks_cut_both_sources(tmp_path: Path, data: Path, other: Path, chunks: int) -> None:
    session = begin(decoupled(tmp_path / "run", data, other, f"{SLIP} + {MAE}"))
    batch, found = session.steps(None)[1], []
    for pieces in (1, chunks):
        answer = forward_backward(Engine(session.model), batch, 1.0, pieces, plain())
        gradients = [p.grad.flatten() for p in session.model.parameters() if p.grad is not None]
        found.append((float(answer.total.detach()), torch.cat(gradients).clone()))
        session.model.zero_grad()
    (loss, whole), (other_loss, cut) = found
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert float((whole - cut).norm() / whole.norm()) < 1e-5


@pytest.mark.parametrize(
    "changes",
    [{}, {"chunk": 3}, {"workers": 2, "cache_mib": 0}, {"objective": f"clip + {SIMCLR}@50%"}],
    ids=["plain", "chunks", "workers", "late"],
)
def test_stopped_and_resumed(tmp_path: Path, data: Path, other: Path, changes: dict[str, Any]) -> None:
    of_data = {k: v for k, v in changes.items() if k in ("workers", "cache_mib")}
    of_run = {k: v for k, v in changes.items() if k not in of_data}
    config = decoupled(tmp_path / "whole", data, other, **of_run)
    whole = train(config, say=quiet)
    parts = replace(with_data(config, **of_data), out=str(tmp_path / "parts"), zeroshot_frequency=1)
    out = train(parts, stop_at(2), quiet)
    assert len(term_losses(out, "clip")) == 2
    resume_training(out, stop_at(4), quiet)
    resume_training(out, say=quiet)
    assert_same_tensors(out / "model.safetensors", whole / "model.safetensors")
    assert newest_files(out) == newest_files(whole)
    for name in ("clip", "simclr"):
        assert term_losses(out, name) == term_losses(whole, name)


def test_a_late_caption_term(tmp_path: Path, data: Path, other: Path) -> None:
    """The first half of the run looks at the second source alone."""
    out = train(decoupled(tmp_path / "run", data, other, f"{SIMCLR} + clip@50%"), say=quiet)
    assert len(term_losses(out, "clip")) == 3
    losses = term_losses(out, "simclr")
    assert len(losses) == 6
    assert all(map(math.isfinite, losses))
    weights = load_file(out / "model.safetensors")
    assert "joint.logit_scale" in weights


def test_bad_pictures_of_both_sources_are_counted(tmp_path: Path) -> None:
    """Sample 0003 is bad in both: these are two samples."""
    data = shard(tmp_path / "pairs.tar", broken=(3,))
    sight = shard(tmp_path / "pictures.tar", 56, size=24, broken=(3, 20))
    config = with_data(decoupled(tmp_path / "run", data, sight, steps=12), max_bad=0.2)
    out = train(config, say=quiet)
    entries = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert sorted(entry["key"] for entry in entries) == ["0003", "sight:0003", "sight:0020"]
    assert all(entry["reason"] for entry in entries)


@pytest.mark.parametrize(("max_bad", "stops"), [(0.1, True), (0.2, False)])
def test_their_rate_is_that_of_both_sources(tmp_path: Path, data: Path, max_bad: float, stops: bool) -> None:
    """14 of 96 pictures, all of them among the 56 without captions; seven steps see those once."""
    sight = shard(tmp_path / "pictures.tar", 56, size=24, broken=tuple(range(0, 56, 4)))
    config = with_data(decoupled(tmp_path / "run", data, sight, steps=7), max_bad=max_bad)
    if not stops:
        train(config, say=quiet)
        return
    with pytest.raises(SightwordError, match=r"of 96 samples are unreadable, more than max_bad = 0\.1"):
        train(config, say=quiet)


@pytest.mark.parametrize("objective", ["clip", SIMCLR, f"{SIMCLR} + {MAE}"])
def test_it_needs_terms_with_and_without_captions(
    tmp_path: Path, data: Path, other: Path, objective: str
) -> None:
    with pytest.raises(SightwordError, match="gives other pictures to terms without captions") as found:
        train(decoupled(tmp_path / "run", data, other, objective), say=quiet)
    assert "has not both" in str(found.value)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, data: Path) -> None:
    few = shard(tmp_path / "few.tar", 7)
    for sight, said in ((few, "larger than the data set of 7"), (tmp_path / "none.tar", "none.tar")):
        with pytest.raises(SightwordError, match=said) as found:
            train(decoupled(tmp_path / "run", data, sight), say=quiet)
        assert "\n" not in str(found.value)
        assert not (tmp_path / "run").exists()


def test_the_hash_of_the_data_covers_both(tmp_path: Path, data: Path, other: Path) -> None:
    sources = [(data, None), (data, other), (data, data), (other, data), (other, None)]
    hashes = []
    for number, (pairs, sight) in enumerate(sources):
        config = tiny(tmp_path / str(number), pairs, SLIP)
        hashes.append(begin(with_data(config, sight=str(sight or ""))).data_hash)
    assert len(set(hashes)) == len(sources)


def test_the_same_pictures_elsewhere_are_the_same(tmp_path: Path, data: Path, other: Path) -> None:
    out = train(decoupled(tmp_path / "run", data, other, zeroshot_frequency=1), stop_at(2), quiet)
    moved = tmp_path / "moved.tar"
    moved.write_bytes(other.read_bytes())
    config = decoupled(tmp_path / "run", data, moved, zeroshot_frequency=1)
    (out / "config.toml").write_text(to_toml(config))
    said: list[str] = []
    resume_training(out, say=said.append)
    assert said == []
    assert len(term_losses(out, "simclr")) == 6


@pytest.mark.parametrize(
    "change",
    [lambda folder: str(shard(folder / "changed.tar", 56, size=25)), lambda folder: ""],
    ids=["others", "none"],
)
def test_a_change_of_the_second_source_is_noticed(
    tmp_path: Path, data: Path, other: Path, change: Callable[[Path], str]
) -> None:
    out = train(decoupled(tmp_path / "run", data, other, zeroshot_frequency=1), stop_at(2), quiet)
    before = newest_files(out)
    (out / "config.toml").write_text(to_toml(decoupled(out, data, change(tmp_path))))
    with pytest.raises(SightwordError, match="the data has changed since"):
        resume_training(out, say=quiet)
    assert newest_files(out) == before


def test_flops_are_those_of_the_views_whoever_gives_them(tmp_path: Path, data: Path, other: Path) -> None:
    """A second source changes which pictures are encoded, not how many."""
    sums = {"slip": SLIP, "late": f"clip + {SIMCLR}@50%"}
    coupled = {name: opened(tmp_path / name, data, text) for name, text in sums.items()}
    apart = {n: begin(decoupled(tmp_path / f"{n}-apart", data, other, t)) for n, t in sums.items()}
    for name in sums:
        for step, chunks in ((0, 1), (0, 4), (3, 1)):
            counts = [
                step_flops(s.model, s.steps(None)[step], s.progress(step), chunks)
                for s in (coupled[name], apart[name])
            ]
            assert counts[0] == counts[1] > 0
    late = apart["late"]
    assert late.steps(None)[0].sight is None
    before, after = (step_flops(late.model, late.steps(None)[i], late.progress(i), 1) for i in (0, 3))
    assert after > 2 * before


def test_a_bad_step_names_the_pictures_of_both(tmp_path: Path, data: Path, other: Path) -> None:
    config = decoupled(tmp_path / "run", data, other)
    loop = Loop(begin(config))
    with torch.no_grad():
        next(iter(loop.model.encoders.towers["image"].parameters())).fill_(math.nan)
    with pytest.raises(SightwordError, match="the loss of step 0 is nan"):
        loop.run()
    report = json.loads((tmp_path / "run" / "bad_step.json").read_text())
    batch = begin(replace(config, out=str(tmp_path / "again"))).steps(None)[0]
    assert batch.sight is not None
    assert report["keys"] == list(batch.keys)
    assert report["sight_keys"] == list(batch.sight.keys)
    assert report["sight_ids"] == batch.sight.ids.tolist()


def test_pictures_for_the_report(tmp_path: Path, data: Path, other: Path) -> None:
    out = train(decoupled(tmp_path / "run", data, other, f"clip + {MAE}"), say=quiet)
    (file,) = save_pictures(out, open_pairs(str(data)))
    assert {kind: t.shape for kind, t in load_file(file).items()}["masked"] == (16, 3, 16, 16)


def test_the_demo_as_second_source_keeps_its_test_pictures_out(tmp_path: Path, data: Path) -> None:
    session = begin(decoupled(tmp_path / "run", data, "demo"))
    assert session.sight is not None
    assert session.sight.data_hash == open_pairs("demo", "train").data_hash
