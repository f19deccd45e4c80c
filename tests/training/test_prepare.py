"""What objectives fit before the first step: once, on the right batches, saved, and never again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import assert_same_tensors, newest_files, opened, saved_model, shard, tiny

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.objectives import catalogue
from sightword.objectives.base import Objective
from sightword.training.loop import Loop, resume_training, train
from sightword.training.records import read_records
from sightword.training.saving.checkpoint import newest
from sightword.training.session import begin
from sightword.views import named
from sightword.words import Batch

VIEW = named.reconstruction(16)
SUM = "clip + palette"


class Killed(BaseException):
    """As `kill -9`: nothing is saved on the way out."""


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


@pytest.fixture(autouse=True)
def _throwaway(throwaway: Path) -> None:
    """SIGHTWORD_PATH names the folder with `palette`."""


@dataclass
class Watched:
    """What one call of `prepare` was given, and what there was when it came."""

    batches: list[Batch] = field(default_factory=list)
    recorded: int = 0
    saved: bool = False


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    """Every call of `prepare`."""
    found: list[Watched] = []
    kind = catalogue.load_objective("palette")
    real = kind.prepare

    def noted(watched: Watched, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            watched.batches.append(batch)
            yield batch

    def prepare(self: Objective, batches: Iterator[Batch]) -> None:
        out = tmp_path / "run"
        metrics = out / "metrics.jsonl"
        recorded = len(read_records(metrics)) if metrics.exists() else 0
        found.append(Watched([], recorded, newest(out)[0] is not None))
        real(self, noted(found[-1], batches))

    monkeypatch.setattr(kind, "prepare", prepare)
    return found


def forbidden(self: Objective, batches: Iterator[Batch]) -> None:
    raise AssertionError("prepared again")


def mean_colour(batches: list[Batch]) -> torch.Tensor:
    """By hand: the sum over all pixels of all pictures, divided by their number."""
    images = torch.cat([batch.views[VIEW] for batch in batches]).double()
    return (images.sum(dim=(0, 2, 3)) / (len(images) * 16 * 16 * 255)).float()


def fitted(checkpoint: Path) -> dict[str, torch.Tensor]:
    prefix = "objectives.palette."
    return {k.removeprefix(prefix): v for k, v in saved_model(checkpoint).items() if k.startswith(prefix)}


def end(out: Path) -> dict[str, torch.Tensor]:
    saved, _ = newest(out)
    assert saved is not None
    return fitted(saved.path)


def losses(out: Path) -> list[dict[str, float]]:
    records = [r for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]
    return [{name: term["loss"] for name, term in r["terms"].items()} for r in records]


@pytest.mark.parametrize("workers", [0, 2])
def test_once_before_the_first_step_on_the_first_batches(
    tmp_path: Path, data: Path, calls: list[Watched], workers: int
) -> None:
    config = tiny(tmp_path / "run", data, SUM)
    config = replace(config, data=replace(config.data, workers=workers))
    out = train(config, say=quiet)
    (call,) = calls
    assert (call.recorded, call.saved) == (0, False)
    steps = opened(tmp_path / "other", data, SUM).steps(None)
    for step, batch in enumerate(call.batches):
        assert batch.step == step
        assert list(batch.views) == [VIEW], "views that only others want are not made"
        assert not batch.captions
        assert torch.equal(batch.ids, steps[step].ids)
        assert torch.equal(batch.views[VIEW], steps[step].views[VIEW])
    assert len(call.batches) == 3
    torch.testing.assert_close(end(out)["mean"], mean_colour([steps[i] for i in range(3)]))


@pytest.mark.parametrize(
    ("options", "looked_at"),
    [("batches=1", 1), ("batches=9", 9), ("batches=9, enough=2", 2), ("batches=0", 0)],
)
def test_as_many_batches_as_it_asks_for(
    tmp_path: Path, data: Path, calls: list[Watched], options: str, looked_at: int
) -> None:
    """Also more than the run has steps; and none, for what is loaded from a file."""
    train(tiny(tmp_path / "run", data, f"clip + palette({options})", steps=2), say=quiet)
    assert [len(call.batches) for call in calls] == [looked_at]


def test_its_result_is_saved_before_the_first_step(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(begin(tiny(tmp_path / "run", data, SUM)), say=quiet)
    untrained = {k: v.clone() for k, v in loop.model.state_dict().items()}

    def first(step: int, *arguments: object) -> str:
        raise Killed

    monkeypatch.setattr(loop, "_one", first)
    with pytest.raises(Killed):
        loop.run()
    saved, complaints = newest(tmp_path / "run")
    assert saved is not None
    assert (saved.step, complaints) == (0, [])
    tensors = saved_model(saved.path)
    moved = {name for name in tensors if not torch.equal(tensors[name], untrained[name])}
    assert moved == {f"objectives.palette.{name}" for name in ("mean", "looks", "chance")}


@pytest.mark.parametrize("killed_at", [0, 2])
def test_a_run_that_was_killed_does_not_prepare_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    config = tiny(tmp_path / "run", data, SUM)
    whole = train(replace(config, out=str(tmp_path / "whole")), say=quiet)
    kill(config, killed_at, monkeypatch)
    monkeypatch.setattr(catalogue.load_objective("palette"), "prepare", forbidden)
    out = resume_training(tmp_path / "run", say=quiet)
    assert int(end(out)["looks"]) == 1
    assert_same_tensors(out / "model.safetensors", whole / "model.safetensors")
    assert newest_files(out) == newest_files(whole)
    assert losses(out) == losses(whole)


def kill(config: Config, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until a step begins, without the time to save."""
    real = Loop._one

    def one(loop: Loop, at: int, *arguments: Any) -> str | None:
        if at == step:
            raise Killed
        return real(loop, at, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_one", one)
        with pytest.raises(Killed):
            train(config, say=quiet)


def test_a_run_that_was_killed_while_it_prepared_prepares_anew(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(tmp_path / "run", data, SUM)
    whole = train(replace(config, out=str(tmp_path / "whole")), say=quiet)

    def half_way(self: Any, batches: Iterator[Batch]) -> None:
        next(batches)
        self.mean += 5
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.load_objective("palette"), "prepare", half_way)
        with pytest.raises(Killed):
            train(config, say=quiet)
    assert newest(tmp_path / "run")[0] is None
    out = resume_training(tmp_path / "run", say=quiet)
    assert newest_files(out) == newest_files(whole)


def test_the_weights_that_a_run_starts_from_need_not_stay(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of what was prepared holds them."""
    first = train(tiny(tmp_path / "first", data, steps=2), say=quiet)
    config = tiny(tmp_path / "run", data, SUM, init_from=str(first))
    whole = train(replace(config, out=str(tmp_path / "whole")), say=quiet)
    kill(config, 0, monkeypatch)
    first.rename(tmp_path / "gone")
    out = resume_training(tmp_path / "run", say=quiet)
    assert newest_files(out) == newest_files(whole)


def test_random_numbers_are_those_of_the_seed(tmp_path: Path, data: Path) -> None:
    """Whatever was drawn before in this process, and whoever makes the batches."""
    chances = []
    for name, workers, seed in (("a", 0, 0), ("b", 1, 0), ("c", 0, 1)):
        config = tiny(tmp_path / name, data, SUM, steps=1, seed=seed)
        torch.rand(len(name))
        torch.manual_seed(workers + 11)
        chances.append(end(train(replace(config, data=replace(config.data, workers=workers)), say=quiet)))
    assert torch.equal(chances[0]["chance"], chances[1]["chance"])
    assert not torch.equal(chances[0]["chance"], chances[2]["chance"])


def test_preparing_changes_no_other_number(tmp_path: Path, data: Path) -> None:
    """More or fewer batches of preparation are not steps of training."""
    one, two = (
        train(tiny(tmp_path / str(n), data, f"clip + 1e-30 * palette(batches={n})"), say=quiet)
        for n in (1, 4)
    )
    assert [row["clip"] for row in losses(one)] == [row["clip"] for row in losses(two)]
    steps = [r for r in read_records(two / "metrics.jsonl") if r["kind"] == "step"]
    assert [(s["step"], s["samples"]) for s in steps] == [(i, 8 * i) for i in range(1, 7)]


SOURCES: list[Callable[[str], tuple[str, str]]] = [
    lambda other: ("clip + palette@50%", ""),
    lambda other: ("clip + palette", other),
    lambda other: ("clip + palette@50%", other),
]


@pytest.mark.parametrize("case", SOURCES, ids=["late", "second source", "late, second source"])
def test_late_objectives_and_those_with_a_source_of_their_own(
    tmp_path: Path, data: Path, calls: list[Watched], case: Callable[[str], tuple[str, str]]
) -> None:
    """A late one is prepared at the start as well; one with other pictures looks at those."""
    other = shard(tmp_path / "other.tar", 56, size=24)
    objective, sight = case(str(other))
    config = tiny(tmp_path / "run", data, objective)
    out = train(replace(config, data=replace(config.data, sight=sight)), say=quiet)
    (call,) = calls
    source = opened(tmp_path / "alone", other if sight else data, "palette").steps(None)
    assert len(call.batches) == 3
    for step, batch in enumerate(call.batches):
        assert torch.equal(batch.ids, source[step].ids)
        assert torch.equal(batch.views[VIEW], source[step].views[VIEW])
        assert batch.sight is None
    torch.testing.assert_close(end(out)["mean"], mean_colour([source[i] for i in range(3)]))


def test_two_objectives_prepare_one_after_the_other(tmp_path: Path, data: Path, calls: list[Watched]) -> None:
    out = train(tiny(tmp_path / "run", data, "palette(batches=2) + 0.5 * palette"), say=quiet)
    assert [len(call.batches) for call in calls] == [2, 3]
    assert not any(call.saved for call in calls), "what is saved has both"
    saved, _ = newest(out)
    assert saved is not None
    tensors = saved_model(saved.path)
    assert [int(tensors[f"objectives.{name}.looks"]) for name in ("palette", "palette-2")] == [1, 1]


def test_a_bar_shows_how_far_it_is(tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(tiny(tmp_path / "run", data, SUM), say=quiet)
    said = capfd.readouterr().err
    assert re.search(r"prepare palette: 3/3, \d+ s", said)
    assert said.index("prepare palette") < said.index("train run")


def test_who_needs_no_preparation_saves_nothing_early(
    tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = train(tiny(tmp_path / "run", data, keep_last=0), say=quiet)
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-00000006"]
    assert "prepare" not in capfd.readouterr().err


def test_what_goes_wrong_is_told_and_nothing_is_saved(tmp_path: Path) -> None:
    black = shard(tmp_path / "black.tar", 40)
    real = named.reconstruction(16)
    assert real == VIEW
    config = tiny(tmp_path / "run", black, SUM)
    loop = Loop(begin(config), say=quiet)
    (palette,) = (w.objective for w in loop.model.weighted if w.name == "palette")
    palette.prepare = lambda batches: type(palette).prepare(palette, map(blackened, batches))  # type: ignore[method-assign]
    with pytest.raises(SightwordError, match="palette found a black batch"):
        loop.run()
    assert newest(tmp_path / "run")[0] is None


def blackened(batch: Batch) -> Batch:
    return replace(batch, views={view: torch.zeros_like(images) for view, images in batch.views.items()})
