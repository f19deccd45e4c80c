"""Floating-point operations of a step, against a count by hand."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import BYOL, MAE, RESNET, SIMCLR, TEXT, VIT, opened

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.training.caching import cut
from sightword.training.flops import representative, step_flops, unreached
from sightword.training.session import Session
from sightword.words import Batch, Words


def block(tokens: int, width: int, pairs: int) -> int:
    """Multiply-adds of one transformer block on one sample: qkv, attention, projection, MLP of ratio 4."""
    linear = tokens * (3 * width * width + width * width + 8 * width * width)
    return linear + 2 * pairs * width


def counted(session: Session, chunks: int = 1) -> float:
    return step_flops(session.model, session.steps(None)[0], 0.0, chunks)


def by_hand(session: Session) -> dict[str, int]:
    """Multiply-adds of the forward pass of `clip` on one sample: 16 patches and a class token, 24 wide."""
    (words,) = session.steps(None)[0].captions.values()
    text = [block(length, 24, length * length) for length in words.lengths.tolist()]
    return {
        "stem": 16 * (3 * 4 * 4) * 24,
        "image": block(17, 24, 17 * 17),
        "text": round(sum(text) / len(text)),
        "joint": 2 * 24 * 16,
        "contrast": 2 * 8 * 16,  # eight rows are counted; both directions
    }


def test_clip_against_a_count_by_hand(tmp_path: Path, data: Path) -> None:
    """A backward pass costs twice the forward, but pictures need no gradient: the stem's costs once."""
    session = opened(tmp_path / "run", data)
    parts = by_hand(session)
    wanted = 2 * 8 * (3 * sum(parts.values()) - parts["stem"])
    assert counted(session) == pytest.approx(wanted, rel=2e-3)


def test_chunks_cost_one_more_forward_of_the_towers(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data)
    parts = by_hand(session)
    towers = parts["stem"] + parts["image"] + parts["text"]
    assert counted(session, 4) - counted(session, 1) == pytest.approx(2 * 8 * towers, rel=1e-6)


def test_teachers_cost_a_forward_and_chunks_no_second_one(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data, BYOL)
    tower = 16 * (3 * 4 * 4) * 24 + block(17, 24, 17 * 17)
    assert counted(session, 2) - counted(session, 1) == pytest.approx(2 * 2 * 8 * tower, rel=1e-6)
    without = copy.deepcopy(session.model)
    passes = without.plan(0.0).passes
    assert sum(len(p.encodes) for p in passes if p.teacher) == 2
    heads = 24 * 16 + 16 * 8, 8 * 16 + 16 * 8
    student = 2 * (3 * tower - 16 * 48 * 24)
    teacher = 2 * (tower + heads[0])
    assert counted(session) == pytest.approx(2 * 8 * (student + teacher + 2 * 3 * sum(heads)), rel=2e-3)


def test_a_few_rows_tell_what_the_whole_batch_costs(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever rows come first; all rows are counted to compare."""
    session = opened(tmp_path / "run", data, batch_size=32)
    batch = with_lengths(session.steps(None)[0])
    (words,) = batch.captions.values()
    order = torch.argsort(words.lengths)
    few = [step_flops(session.model, cut(batch, o), 0.0, 1) for o in (order, order.flip(0))]
    assert few[0] == few[1]
    monkeypatch.setattr("sightword.training.flops._ROWS", 32)
    assert representative(batch) is batch
    assert few[0] == pytest.approx(step_flops(session.model, batch, 0.0, 1), rel=0.02)


def with_lengths(batch: Batch) -> Batch:
    """Most captions are short, and one is very long."""
    ((caption, words),) = batch.captions.items()
    lengths = 3 + torch.arange(len(batch.keys)) % 4
    lengths[5] = words.ids.shape[1]
    return replace(batch, captions={caption: Words(words.ids, lengths)})


def test_the_few_rows_are_as_long_as_all(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data, batch_size=32)
    batch = with_lengths(session.steps(None)[0])
    few = representative(batch)
    ((all_words,), (words,)) = batch.captions.values(), few.captions.values()
    assert 8 <= len(few.keys) < 32
    assert len(few.keys) == len(words.lengths) == len(few.views[next(iter(few.views))])
    assert words.lengths.max() == all_words.lengths.max()
    assert words.lengths.min() >= all_words.lengths.min()
    mean = all_words.lengths.double().mean()
    assert abs(words.lengths.double().mean() - mean) <= 0.5 / len(few.keys)


def test_padding_costs_nothing(tmp_path: Path, data: Path) -> None:
    """One long caption among short ones adds its own tokens, and a compiled tower counts the same."""
    session = opened(tmp_path / "run", data)
    batch = with_lengths(session.steps(None)[0])
    (words,) = batch.captions.values()
    short = words.lengths.clone()
    short[5] = 3
    less = replace(batch, captions=dict.fromkeys(batch.captions, Words(words.ids, short)))
    long = int(words.lengths[5])
    added = 2 * 3 * (block(long, 24, long**2) - block(3, 24, 9))
    costs = [step_flops(session.model, one, 0.0, 1) for one in (batch, less)]
    assert costs[0] - costs[1] == pytest.approx(added, rel=1e-3)
    for block_ in session.model.encoders.towers["text"].blocks:
        block_.compiled = True
    assert step_flops(session.model, batch, 0.0, 1) == costs[0]


def test_it_grows_with_the_batch_and_leaves_the_model_alone(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data, f"clip + {SIMCLR}", image=RESNET, batch_size=16)
    before = copy.deepcopy(session.model.state_dict())
    batch = session.steps(None)[0]
    twice = cut(batch, torch.arange(16).repeat(2))
    once = step_flops(session.model, batch, 0.0, 1)
    assert step_flops(session.model, twice, 0.0, 1) == pytest.approx(2 * once, rel=1e-6)
    for name, tensor in session.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(p.grad is None for p in session.model.parameters())


def test_masking_three_quarters_costs_less_than_a_whole_view(tmp_path: Path, data: Path) -> None:
    small = "mae(ratio=0.75, decoder_width=4, decoder_layers=1, decoder_heads=1)"
    whole = "mae(ratio=0.07, decoder_width=4, decoder_layers=1, decoder_heads=1)"
    few, many = (counted(opened(tmp_path / str(i), data, o)) for i, o in enumerate((small, whole)))
    assert 2.5 < many / few < 4


@pytest.mark.parametrize(("layers", "width"), [(12, 96), (6, 192)])
def test_slip_costs_what_the_papers_say(tmp_path: Path, data: Path, layers: int, width: int) -> None:
    """Three pictures instead of one beside a text tower and a projector: A-CLIP measured 2.67 times."""
    image = ImageTowerConfig(size=32, width=width, layers=(layers,), heads=4, patch_size=4)
    text = TextTowerConfig(width=2 * width // 3, layers=layers, heads=4, context=16)
    model = ModelConfig("vit", image, text, 64)
    objectives = ("clip", f"clip + simclr(hidden={4 * width}, out={width // 3})")
    clip, slip = (
        counted(opened(tmp_path / str(i), data, objective, model=model, batch_size=4))
        for i, objective in enumerate(objectives)
    )
    assert 2.5 < slip / clip < 3.0


def test_later_objectives_cost_nothing_before(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data, f"clip + {MAE}@50%", image=replace(VIT, layers=(2,)))
    plain = opened(tmp_path / "plain", data, image=replace(VIT, layers=(2,)))
    batch = session.steps(None)[3]
    assert step_flops(session.model, batch, 0.49, 1) == step_flops(plain.model, batch, 0.0, 1)
    assert step_flops(session.model, batch, 0.5, 1) > step_flops(session.model, batch, 0.49, 1)
    assert TEXT.layers == 1


def test_parameters_that_no_gradient_reaches_are_named(tmp_path: Path, data: Path) -> None:
    """The head of a late objective, until it counts; and the model is left as it was."""
    session = opened(tmp_path / "run", data, f"clip + {SIMCLR}@50%")
    batch = session.steps(None)[5]
    early, late = (unreached(session.model, batch, progress) for progress in (0.0, 0.5))
    assert late == []
    assert early
    assert all(name.startswith("objectives.simclr.projector.") for name in early)
    assert all(parameter.grad is None for parameter in session.model.parameters())
