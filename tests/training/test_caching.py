"""Feature caching gives the gradient of the whole batch, whatever the objectives, towers and chunks."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import BYOL, MAE, RESNET, SIMCLR, TEXT, VIT, opened, plain
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.training.caching import cut, forward_backward, join
from sightword.training.pretrainer import Answer, Pretrainer
from sightword.training.together.engine import Engine
from sightword.words import Batch, Encoded

Gradients = dict[str, Tensor]


def gradients(model: nn.Module) -> Gradients:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def cached(model: Pretrainer, batch: Batch, chunks: int) -> tuple[Answer, Gradients, Pretrainer]:
    """One step's answer and gradient, on a copy of the model."""
    model = copy.deepcopy(model)
    torch.manual_seed(7)
    answer = forward_backward(Engine(model), batch, 1.0, chunks, plain())
    return answer, gradients(model), model


def by_hand(model: Pretrainer, batch: Batch, chunks: int) -> tuple[Answer, Gradients, Pretrainer]:
    """The naive twin: every chunk's graph is kept, all are joined and scored at once."""
    model = copy.deepcopy(model)
    torch.manual_seed(7)
    rows = torch.arange(len(batch.keys)).chunk(chunks)
    parts = [model.encode(cut(batch, chunk)) for chunk in rows]
    answer = model.score({want: join([part[want] for part in parts]) for want in parts[0]}, batch)
    answer.total.backward()
    return answer, gradients(model), model


def assert_same(ours: Gradients, theirs: Gradients) -> None:
    assert ours.keys() == theirs.keys()
    whole = torch.cat([g.flatten() for g in theirs.values()]).norm()
    for name, gradient in theirs.items():
        assert float((ours[name] - gradient).norm() / whole) < 2e-6, name
        torch.testing.assert_close(ours[name], gradient, rtol=2e-3, atol=float(whole) * 1e-6)


@pytest.mark.parametrize("chunks", [2, 3, 8])
@pytest.mark.parametrize(
    "objective", ["clip", SIMCLR, MAE, BYOL, f"clip + {SIMCLR} + 0.5 * {MAE}", f"clip + {BYOL}"]
)
def test_chunks_do_not_change_the_gradient(tmp_path: Path, data: Path, objective: str, chunks: int) -> None:
    session = opened(tmp_path / "run", data, objective)
    batch = session.steps(None)[0]
    whole, exact, _ = cached(session.model, batch, 1)
    answer, found, _ = cached(session.model, batch, chunks)
    assert float(answer.total.detach()) == pytest.approx(float(whole.total.detach()), rel=1e-5)
    assert_same(found, exact)


def test_captions_trimmed_to_different_lengths(tmp_path: Path, data: Path) -> None:
    """Every chunk has another longest caption, and bidirectional attention with mean pooling sees it all."""
    session = opened(tmp_path / "run", data)
    batch = session.steps(None)[0]
    (words,) = batch.captions.values()
    order = torch.argsort(words.lengths)
    batch = cut(batch, order)
    longest = [int(w.lengths.max()) for p in order.chunk(4) for w in cut(batch, p).captions.values()]
    assert len(set(longest)) > 1
    text = replace(TEXT, attention="bidirectional", pool="mean")
    model = replace(session.config.model, text=text)
    other = opened(tmp_path / "other", data, model=model).model
    for one in (session.model, other):
        assert_same(cached(one, batch, 4)[1], cached(one, batch, 1)[1])


def test_joining_pads_shorter_tokens_at_their_end() -> None:
    short = Encoded(torch.ones(2, 3), torch.ones(2, 2, 3), valid=torch.ones(2, 2, dtype=torch.bool))
    long = Encoded(torch.ones(1, 3), torch.ones(1, 4, 3), valid=torch.ones(1, 4, dtype=torch.bool))
    joined = join([short, long])
    assert joined.pooled.shape == (3, 3)
    assert joined.tokens.sum(dim=(1, 2)).tolist() == [6.0, 6.0, 12.0]
    assert joined.valid is not None
    assert joined.valid.tolist() == [[True, True, False, False]] * 2 + [[True] * 4]
    assert joined.kept is None


@pytest.mark.parametrize("objective", [f"clip + {SIMCLR}", f"clip + {BYOL}"])
def test_drop_path_draws_the_same_twice(tmp_path: Path, data: Path, objective: str) -> None:
    """Two layers, the second of them dropped for half of the samples: for others in another epoch."""
    image = replace(VIT, layers=(2,), drop_path=0.5)
    session = opened(tmp_path / "run", data, objective, image=image)
    batch = session.steps(None)[0]
    answer, found, _ = cached(session.model, batch, 3)
    naive, exact, _ = by_hand(session.model, batch, 3)
    assert float(answer.total.detach()) == pytest.approx(float(naive.total.detach()), rel=1e-6)
    assert_same(found, exact)
    later = replace(batch, epochs=batch.epochs + 1)
    other = forward_backward(Engine(session.model), later, 1.0, 3, plain())
    assert float(other.total.detach()) != pytest.approx(float(naive.total.detach()), rel=1e-6), (
        "nothing was dropped"
    )


@pytest.mark.parametrize("objective", [f"clip + {SIMCLR}", f"clip + {BYOL}"])
def test_running_statistics_count_each_chunk_once(tmp_path: Path, data: Path, objective: str) -> None:
    session = opened(tmp_path / "run", data, objective, image=RESNET)
    batch = session.steps(None)[0]
    before = {name: b.clone() for name, b in session.model.named_buffers()}
    _, found, ours = cached(session.model, batch, 2)
    _, exact, theirs = by_hand(session.model, batch, 2)
    assert_same(found, exact)
    counted = [name for name, b in ours.named_buffers() if not torch.equal(b, before[name])]
    assert any("towers.image" in name and name.endswith("running_mean") for name in counted)
    expected = dict(theirs.named_buffers())
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, expected[name], msg=name)


def test_teachers_are_asked_once_and_students_twice(tmp_path: Path, data: Path) -> None:
    model = opened(tmp_path / "run", data, BYOL).model
    batch = opened(tmp_path / "other", data, BYOL).steps(None)[0]
    calls: list[str] = []
    model.encoders.towers["image"].register_forward_hook(lambda *_: calls.append("student"))
    (teacher,) = model.teachers.values()
    teacher.copy.register_forward_hook(lambda *_: calls.append("teacher"))
    forward_backward(Engine(model), batch, 1.0, 4, plain())
    assert sorted(calls) == ["student"] * 8 + ["teacher"] * 4


def test_half_precision_chunks_agree_to_its_rounding(tmp_path: Path, data: Path) -> None:
    """As close to the fp32 gradient as one piece in half precision is, or closer than that is to it."""
    session = opened(tmp_path / "run", data, f"clip + {MAE}")
    batch = session.steps(None)[0]
    found = []
    for chunks, half in ((1, False), (1, True), (3, True)):
        model = copy.deepcopy(session.model)
        autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=half)
        forward_backward(Engine(model), batch, 1.0, chunks, autocast)
        found.append(torch.cat([g.flatten() for g in gradients(model).values()]))
    exact, whole, pieces = found
    assert not torch.equal(whole, exact)
    assert float((pieces - exact).norm()) < 1.5 * float((whole - exact).norm())


@pytest.mark.parametrize("chunks", [0, 9])
def test_chunks_that_cannot_be_are_refused(tmp_path: Path, data: Path, chunks: int) -> None:
    with pytest.raises(SightwordError, match=r"--accum-freq is \d; a batch of 8"):
        opened(tmp_path / "run", data, accum_freq=chunks)
    assert not (tmp_path / "run").exists()


def test_a_tower_with_batch_norm_says_what_differs(tmp_path: Path, data: Path) -> None:
    (note,) = opened(tmp_path / "run", data, image=RESNET, accum_freq=3).notes
    assert "batch norms inside the image tower see 3 samples at a time" in note
    assert opened(tmp_path / "other", data, accum_freq=3).notes == ()
