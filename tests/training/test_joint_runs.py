"""Runs that encode pictures and captions together: chunks of captions of other lengths, and resuming."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from tiny_runs import TEXT, newest_files, opened, plain, stop_at, tiny
from torch import Tensor, nn

from sightword.training.caching import cut, forward_backward
from sightword.training.loop import resume_training, train
from sightword.training.records import read_records
from sightword.training.together.engine import Engine
from sightword.words import Batch

SMALL = "decoder_width=16, decoder_layers=1, decoder_heads=2"
OBJECTIVES = [f"m3ae({SMALL})", f"clip + 0.5 * m3ae({SMALL})", f"clip + mae-clip({SMALL})"]


def quiet(_: str) -> None:
    """Nobody listens."""


def gradients(model: nn.Module, batch: Batch, chunks: int) -> tuple[float, dict[str, Tensor]]:
    model = copy.deepcopy(model)
    answer = forward_backward(Engine(model), batch, 1.0, chunks, plain())
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return float(answer.total.detach()), found


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_chunks_of_different_lengths_give_the_gradient_of_the_whole(
    tmp_path: Path, data: Path, objective: str
) -> None:
    session = opened(tmp_path / "run", data, objective)
    model = session.config.model
    text = dataclasses.replace(TEXT, attention="bidirectional", pool="mean")
    other = opened(tmp_path / "other", data, objective, model=dataclasses.replace(model, text=text))
    for one in (session, other):
        batch = one.steps(None)[0]
        (words,) = batch.captions.values()
        batch = cut(batch, torch.argsort(words.lengths))  # the shortest captions in the first chunk
        (words,) = batch.captions.values()
        assert int(words.lengths[0]) < int(words.lengths[-1])
        loss, exact = gradients(one.model, batch, 1)
        for chunks in (3, 8):
            same, found = gradients(one.model, batch, chunks)
            assert same == pytest.approx(loss, rel=1e-5)
            assert found.keys() == exact.keys()
            whole = torch.cat([g.flatten() for g in exact.values()]).norm()
            for name, gradient in exact.items():
                assert float((found[name] - gradient).norm() / whole) < 2e-6, name


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_stopped_and_resumed_it_is_the_same_to_the_bit_and_learns(
    tmp_path: Path, data: Path, objective: str
) -> None:
    whole = train(tiny(tmp_path / "whole", data, objective), say=quiet)
    parts = train(tiny(tmp_path / "parts", data, objective), stop_at(2), quiet)
    resume_training(parts, stop_at(-1), quiet)
    ours, theirs = newest_files(whole), newest_files(parts)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    losses = [r["loss"] for r in read_records(whole / "metrics.jsonl") if r["kind"] == "step"]
    assert len(losses) == 6
    assert losses[-1] < losses[0]
