"""`--chunk N`: at most N samples are encoded at once, and nothing else is different."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_objectives import small_wish
from tiny_runs import MAE, RESNET, SIMCLR, newest_files, opened, plain, tiny

from sightword.cli import main
from sightword.config import load
from sightword.errors import SightwordError
from sightword.training.caching import cut, forward_backward, join
from sightword.training.loop import train
from sightword.training.records import read_records
from sightword.training.session import Session
from sightword.training.together.engine import Engine

SLIP = f"clip + {SIMCLR}"


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


def steps(out: Path) -> list[dict[str, Any]]:
    return [r for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]


def rows_encoded(session: Session) -> list[int]:
    """How many samples each tower got, call by call, in one forward and backward."""
    calls: list[int] = []
    for tower in session.model.encoders.towers.values():
        tower.register_forward_hook(lambda _, __, answer: calls.append(len(answer.pooled)))
    forward_backward(Engine(session.model), session.steps(None)[0], 1.0, session.chunks, plain())
    return calls


@pytest.mark.parametrize("rows", [8, 7])
def test_no_more_samples_at_once_than_asked_for(tmp_path: Path, data: Path, rows: int) -> None:
    """For every chunk that fits into the batch: as few pieces as can be, none of them larger."""
    for chunk in range(1, rows + 1):
        session = opened(tmp_path / str(chunk), data, batch_size=rows, chunk=chunk)
        assert session.chunks == math.ceil(rows / chunk)
        calls = rows_encoded(session)
        assert max(calls) <= chunk
        times = 1 if chunk == rows else 2
        assert sum(calls) == times * rows * len(session.model.encoders.towers)


def test_without_it_accum_freq_decides(tmp_path: Path, data: Path) -> None:
    assert opened(tmp_path / "a", data).chunks == 1
    assert opened(tmp_path / "b", data, accum_freq=4).chunks == 4


@pytest.mark.parametrize(("chunk", "accum_freq"), [(4, 2), (3, 3), (1, 8)])
def test_it_is_accum_freq_said_otherwise(tmp_path: Path, data: Path, chunk: int, accum_freq: int) -> None:
    """The same bytes and records."""
    ways = ({"chunk": chunk}, {"accum_freq": accum_freq})
    runs = [train(tiny(tmp_path / n, data, SLIP, **w), say=quiet) for n, w in zip("ab", ways, strict=True)]
    one, two = (
        [(s["step"], s["loss"], s["grad_norm"], s["flops"], s["terms"]) for s in steps(r)] for r in runs
    )
    assert one == two
    assert newest_files(runs[0]) == newest_files(runs[1])


@pytest.mark.parametrize("objective", [SLIP, f"clip + {MAE}@50%"])
def test_it_trains_as_the_whole_batch_does(tmp_path: Path, data: Path, objective: str) -> None:
    """Three steps later still, to rounding; batches of three samples would make another run."""
    config = tiny(tmp_path / "whole", data, objective, steps=3)
    whole = steps(train(config, say=quiet))
    cut = steps(train(replace(config, out=str(tmp_path / "cut"), chunk=3), say=quiet))
    small = steps(train(replace(config, out=str(tmp_path / "small"), batch_size=3), say=quiet))
    for ours, theirs, others in zip(cut, whole, small, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-2)
        assert others["loss"] != pytest.approx(theirs["loss"], rel=5e-3)


@pytest.mark.parametrize("name", ["m3ae", "mae-clip"])
def test_tokens_of_joined_chunks_stand_for_positions_of_their_own(
    tmp_path: Path, data: Path, name: str
) -> None:
    """Chunks whose longest captions differ: where a token is valid it is as in one piece."""
    session = opened(tmp_path / "run", data, str(small_wish(name, 8)))
    batch, model = session.steps(None)[0], session.model
    (words,) = batch.captions.values()
    batch = cut(batch, torch.argsort(words.lengths))
    with torch.no_grad():
        parts = [model.encode(cut(batch, rows)) for rows in torch.arange(8).chunk(4)]
        whole = model.encode(batch)
    for want, expected in whole.items():
        found = join([part[want] for part in parts])
        assert found.kept is not None
        assert expected.kept is not None
        assert found.kept.shape == found.tokens.shape[:2] == expected.kept.shape
        assert all(len(set(row)) == len(row) for row in found.kept.tolist())
        assert int(found.kept.max()) < expected.hidden.shape[1]  # type: ignore[union-attr]
        if want.caption is None:
            assert torch.equal(found.kept, expected.kept)
            continue
        assert len({part[want].tokens.shape[1] for part in parts}) > 1
        assert found.valid is not None
        assert torch.equal(found.valid, expected.valid)
        assert torch.equal(found.kept[found.valid], expected.kept[found.valid])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chunk": 4, "accum_freq": 2}, "both --chunk and --accum-freq are given"),
        ({"chunk": 4, "accum_freq": 0}, "both --chunk and --accum-freq are given"),
        ({"chunk": -1}, "--chunk is -1; of a batch of 8, 1 to 8 samples"),
        ({"chunk": 9}, "--chunk is 9; of a batch of 8, 1 to 8 samples"),
        ({"accum_freq": 0}, "--accum-freq is 0"),
        ({"accum_freq": 9}, "--accum-freq is 9"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, data: Path, changes: dict[str, int], said: str) -> None:
    with pytest.raises(SightwordError, match=said) as found:
        train(tiny(tmp_path / "run", data, **changes), say=quiet)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "size"), [({"chunk": 3}, 3), ({"chunk": 5}, 4), ({"accum_freq": 8}, 1)], ids=str
)
def test_batch_norms_inside_a_tower_are_spoken_of(
    tmp_path: Path, data: Path, changes: dict[str, int], size: int
) -> None:
    session = opened(tmp_path / "run", data, image=RESNET, **changes)
    (note,) = session.notes
    assert f"batch norms inside the image tower see {size} samples at a time" in note
    assert "\n" not in note
    assert max(rows_encoded(session)) == size, "the note says what is so"


def test_nothing_is_noted_where_nothing_differs(tmp_path: Path, data: Path) -> None:
    assert opened(tmp_path / "a", data, chunk=3).notes == ()
    assert opened(tmp_path / "b", data, image=RESNET, chunk=8).notes == ()
    grouped = replace(RESNET, norm="group")
    assert opened(tmp_path / "c", data, image=grouped, chunk=3).notes == ()


def test_the_command_line(tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    settings = ("image.layers=1,1", "image.patch_size=4", "image.size=16", "image.width=8", "text.layers=1")
    small = [part for setting in settings for part in ("--set", f"model.{setting}")]
    length = ("--steps", "2", "--batch-size", "8", "--chunk", "3", "--workers", "0", "--evaluate-on", "")
    what = ("--data", str(data), "--model", "resnet-tiny", "--set", "data.vocab=300")
    main(["train", *what, *small, *length, "--out", str(tmp_path / "run")])
    config = load(tmp_path / "run")
    assert (config.chunk, config.accum_freq, config.batch_size) == (3, 1, 8)
    said = capfd.readouterr()
    assert "in 3 chunks the losses see the whole batch" in said.out + said.err
