"""Each term's own gradient: its norm and its cosines are what autograd gives, in one piece and in chunks."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch
from tiny_runs import BYOL, MAE, RESNET, SIMCLR, VIT, opened, plain
from torch import Tensor, nn

from sightword.training.caching import cut, forward_backward, join
from sightword.training.gradients import Agreement, TermGradients
from sightword.training.pretrainer import Pretrainer
from sightword.training.together.engine import Engine
from sightword.words import Batch

Flat = dict[str, Tensor]


def by_hand(model: Pretrainer, batch: Batch, chunks: int = 1) -> Flat:
    """The naive twin: a model for each term, whose `.grad` after `loss.backward()` is flattened."""
    found: Flat = {}
    for weighted in model.active(1.0):
        own = copy.deepcopy(model)
        torch.manual_seed(7)
        parts = [own.encode(cut(batch, rows)) for rows in torch.arange(len(batch.keys)).chunk(chunks)]
        answer = own.score({want: join([part[want] for part in parts]) for want in parts[0]}, batch)
        answer.terms[weighted.name].loss.backward()
        tower = own.encoders.towers["image"].parameters()
        found[weighted.name] = torch.cat(
            [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in tower]
        ).double()
    return found


def measured(model: Pretrainer, batch: Batch, chunks: int) -> tuple[Agreement, Pretrainer]:
    model = copy.deepcopy(model)
    meter = TermGradients(model.encoders.towers["image"])
    torch.manual_seed(7)
    forward_backward(Engine(model), batch, 1.0, chunks, plain(), meter)
    return meter.read(), model


def assert_agree(found: Agreement, exact: Flat) -> None:
    assert found.norms == pytest.approx({name: float(g.norm()) for name, g in exact.items()}, rel=1e-4)
    pairs = {(a, b): cosine for a, row in found.cosines.items() for b, cosine in row.items()}
    assert set(pairs) == set(combinations(exact, 2))
    for (a, b), cosine in pairs.items():
        expected = float(exact[a] @ exact[b] / (exact[a].norm() * exact[b].norm()))
        assert cosine == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("chunks", [1, 3, 8])
@pytest.mark.parametrize("objective", ["clip", f"clip + 3 * {SIMCLR} + 0.5 * {MAE}", f"{MAE} + {BYOL}"])
def test_norms_and_cosines_are_those_of_each_term_alone(
    tmp_path: Path, data: Path, objective: str, chunks: int
) -> None:
    session = opened(tmp_path / "run", data, objective)
    batch = session.steps(None)[0]
    found, _ = measured(session.model, batch, chunks)
    assert_agree(found, by_hand(session.model, batch))


@pytest.mark.parametrize("image", [replace(VIT, layers=(2,), drop_path=0.5), RESNET])
def test_chunks_with_drop_path_and_batch_norm(tmp_path: Path, data: Path, image: object) -> None:
    """What is dropped, and what a chunk is normalised by, are those of the step itself."""
    session = opened(tmp_path / "run", data, f"clip + {SIMCLR}", image=image)
    batch = session.steps(None)[0]
    found, _ = measured(session.model, batch, 2)
    assert_agree(found, by_hand(session.model, batch, 2))


@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("image", [replace(VIT, layers=(2,), drop_path=0.5), RESNET])
def test_measuring_changes_no_bit(tmp_path: Path, data: Path, image: object, chunks: int) -> None:
    session = opened(tmp_path / "run", data, f"clip + {SIMCLR}", image=image)
    batch = session.steps(None)[0]
    plainly = copy.deepcopy(session.model)
    torch.manual_seed(7)
    forward_backward(Engine(plainly), batch, 1.0, chunks, plain())
    random = torch.get_rng_state()
    _, model = measured(session.model, batch, chunks)
    assert torch.equal(torch.get_rng_state(), random)
    for (name, ours), theirs in zip(model.named_parameters(), plainly.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None), name
        assert ours.grad is None or torch.equal(ours.grad, theirs.grad), name
    for (name, ours), theirs in zip(model.named_buffers(), plainly.buffers(), strict=True):
        assert torch.equal(ours, theirs), name


def test_a_term_that_does_not_reach_the_parameters_has_no_norm_and_no_cosine() -> None:
    shared, other = nn.Linear(3, 1), nn.Linear(3, 1)
    meter = TermGradients(shared)
    meter.add("near", [shared(torch.ones(2, 3)).sum()])
    meter.add("far", [other(torch.ones(2, 3)).sum()])
    found = meter.read()
    assert found.norms["near"] == pytest.approx(math.sqrt(4 * 3 + 4), rel=1e-6)
    assert found.norms["far"] == 0
    assert math.isnan(found.cosines["near"]["far"])


def test_opposite_and_unrelated_losses() -> None:
    shared = nn.Linear(2, 1, bias=False)
    meter = TermGradients(shared)
    left, down = (shared(torch.tensor([axis])).sum() for axis in ([1.0, 0.0], [0.0, 1.0]))
    for name, loss in {"a": left, "b": -3 * left, "c": down}.items():
        meter.add(name, [loss])
    found = meter.read()
    assert found.norms == pytest.approx({"a": 1, "b": 3, "c": 1})
    assert found.cosines == {"a": {"b": pytest.approx(-1), "c": 0}, "b": {"c": 0}}


def test_nothing_to_measure() -> None:
    frozen = nn.Linear(2, 1).requires_grad_(False)
    meter = TermGradients(frozen)
    meter.add("a", [nn.Linear(2, 1)(torch.ones(1, 2)).sum()])
    assert meter.read() == Agreement()
