"""Objectives that count from 80 % of training on: nothing of them before, teachers as students are then."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import RESNET, newest_files, opened, plain, stop_at, tiny
from torch import Tensor, nn

from sightword.towers.momentum import Follower
from sightword.training.caching import forward_backward
from sightword.training.loop import Loop, resume_training, train
from sightword.training.records import read_records
from sightword.training.session import Session
from sightword.training.together.engine import Engine
from sightword.views import named
from sightword.words import Encode

HEADS = "hidden=12, bottleneck=6, out=10, momentum=0.5, momentum_end=1.0"
PARTS = f"self-distillation(locals=2, {HEADS})"
MASKED = f"masked-prediction({HEADS})"
LATE = f"clip + {PARTS}@80% + 0.25 * {MASKED}@80%"
STEPS, FIRST = 10, 8  # the step that is done with 80 % behind it


def begun(tmp_path: Path, data: Path, objective: str = LATE, **changes: object) -> tuple[Session, Loop]:
    session = opened(tmp_path / "run", data, objective, steps=STEPS, **changes)
    return session, Loop(session)


def followers(session: Session) -> dict[str, Follower]:
    return {name: m for name, m in session.model.named_modules() if isinstance(m, Follower)}


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_their_views_are_not_made_before(tmp_path: Path, data: Path) -> None:
    session, _ = begun(tmp_path, data)
    steps = session.steps(None)
    language, whole = named.language(16), named.global_crop(16)
    assert set(steps[FIRST - 1].views) == {language}
    assert set(steps[FIRST].views) == {language, whole, named.local_crop(8, 0), named.local_crop(8, 1)}


def test_one_teacher_serves_both_and_encodes_nothing_before(tmp_path: Path, data: Path) -> None:
    session, loop = begun(tmp_path, data)
    steps, (teacher,) = session.steps(None), session.model.teachers.values()
    calls: list[int] = []
    teacher.copy.register_forward_hook(lambda module, inputs, answer: calls.append(len(answer.pooled)))
    for step in range(FIRST):
        loop._step(step, steps[step])
    assert calls == []
    loop._step(FIRST, steps[FIRST])
    assert calls == [8]


@pytest.mark.parametrize("image", [None, RESNET], ids=["vit", "resnet"])
def test_teachers_start_as_students_are_then_and_follow_what_is_left(
    tmp_path: Path, data: Path, image: object
) -> None:
    sums = f"clip + {PARTS}@80%"
    session, loop = begun(tmp_path, data, *([] if image is None else [sums]), **_towers(image))
    steps, at_first = session.steps(None), {n: weights(f.copy) for n, f in followers(session).items()}
    assert len(at_first) == (3 if image is None else 2)  # the tower's, and each term's head's
    for step in range(FIRST):
        assert all(same(weights(f.copy), at_first[n]) for n, f in followers(session).items())
        loop._step(step, steps[step])
    for follower in followers(session).values():
        assert same(weights(follower.copy), weights(follower.leader)), "equal to the bit at the start"
    for step in (FIRST, FIRST + 1):
        before = {name: weights(f.copy) for name, f in followers(session).items()}
        loop._step(step, steps[step])
        done = (step + 1 - FIRST) / (STEPS - FIRST)
        momentum = 1 - 0.5 * (math.cos(math.pi * done) + 1) / 2
        for name, follower in followers(session).items():
            student = dict(follower.leader.named_parameters())
            for part, parameter in follower.copy.named_parameters():
                wanted = momentum * before[name][part] + (1 - momentum) * student[part]
                torch.testing.assert_close(parameter, wanted, rtol=0, atol=1e-6)
                assert parameter.grad is None
        (tower,) = session.model.teachers.values()
        assert not same(weights(tower.copy), weights(tower.leader))


def _towers(image: object) -> dict[str, object]:
    return {} if image is None else {"image": image}


def test_heads_centres_and_the_mask_token_stand_still_before(tmp_path: Path, data: Path) -> None:
    session, loop = begun(tmp_path, data)
    steps, model = session.steps(None), session.model
    token = model.encoders.towers["image"].mask_token
    heads = nn.ModuleList(model.objectives[name] for name in ("self-distillation", "masked-prediction"))
    before, before_token = weights(heads), token.detach().clone()
    for step in range(FIRST):
        loop._step(step, steps[step])
    assert same(weights(heads), before)
    assert torch.equal(token, before_token)
    loop._step(FIRST, steps[FIRST])
    still = [name for name, value in weights(heads).items() if torch.equal(value, before[name])]
    assert [name for name in still if ".slow_head." not in name] == []
    assert not torch.equal(token, before_token)


def test_they_are_recorded_from_then_on(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "run", data, LATE, steps=STEPS))
    steps = [r for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]
    terms = [set(step["terms"]) for step in steps]
    assert terms == [{"clip"}] * FIRST + [{"clip", "self-distillation", "masked-prediction"}] * 2
    for step in steps[FIRST:]:
        parts, masked = step["terms"]["self-distillation"], step["terms"]["masked-prediction"]
        assert (parts["weight"], masked["weight"]) == (1.0, 0.25)
        total = step["terms"]["clip"]["loss"] + parts["loss"] + 0.25 * masked["loss"]
        assert step["loss"] == pytest.approx(total, rel=1e-4)
        assert all(parts[m] >= 0 for m in ("teacher_entropy", "kl", "prototypes"))
    assert steps[FIRST]["flops"] - steps[FIRST - 1]["flops"] > 2 * steps[0]["flops"]


def test_a_run_that_stopped_around_the_start_ends_as_one_that_did_not(tmp_path: Path, data: Path) -> None:
    """Saved a step before teachers start, and when they just have."""
    whole = train(tiny(tmp_path / "whole", data, LATE, steps=STEPS))
    for stop in (FIRST - 1, FIRST):
        config = tiny(tmp_path / f"stopped-{stop}", data, LATE, steps=STEPS, zeroshot_frequency=1)
        out = train(config, stop_at(stop))
        assert [r for r in read_records(out / "metrics.jsonl") if r["kind"] == "save"][-1]["step"] == stop
        resume_training(out)
        assert newest_files(out) == newest_files(whole)


def test_chunks_give_the_gradient_of_the_whole(tmp_path: Path, data: Path) -> None:
    session, _ = begun(tmp_path, data)
    batch, pieces = session.steps(None)[FIRST], copy.deepcopy(session.model)
    whole = forward_backward(Engine(session.model), batch, 0.8, 1, plain())
    parts = forward_backward(Engine(pieces), batch, 0.8, 3, plain())
    torch.testing.assert_close(parts.total, whole.total)
    for (name, ours), theirs in zip(pieces.named_parameters(), session.model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5, msg=name)
    assert same(
        {n: b for n, b in pieces.named_buffers() if n.endswith("centre")},
        {n: b for n, b in session.model.named_buffers() if n.endswith("centre")},
    )


def test_a_teacher_that_is_shared_with_an_early_term_is_there_from_the_start(
    tmp_path: Path, data: Path
) -> None:
    session, _ = begun(tmp_path, data, f"{MASKED} + {PARTS}@80%")
    (tower,) = session.model.teachers.values()
    assert tower.start == 0
    starts = {name.split(".")[1]: f.start for name, f in followers(session).items() if "slow_head" in name}
    assert starts == {"masked-prediction": 0.0, "self-distillation": 0.8}


def test_views_of_several_sizes_are_encoded_apart_and_in_place(tmp_path: Path, data: Path) -> None:
    """What each student and teacher answers is what its tower says of that view alone."""
    session, _ = begun(tmp_path, data)
    model, batch = session.model, session.steps(None)[FIRST]
    tower = model.encoders.towers["image"]
    encoded = model.encode(batch, 0.8)
    for draw in range(2):
        view = named.local_crop(8, draw)
        ours = encoded[Encode("image", view=view)]
        assert ours.tokens.shape == (8, 4, 24)
        torch.testing.assert_close(ours.pooled, tower(batch.views[view]).pooled, rtol=1e-4, atol=1e-5)
    whole = next(e for want, e in encoded.items() if want.teacher is not None)
    taught = tower(batch.views[named.global_crop(16)])
    torch.testing.assert_close(whole.tokens, taught.tokens.detach(), rtol=1e-4, atol=1e-5)


def test_the_example_of_the_grammar_trains(tmp_path: Path, data: Path) -> None:
    """With the papers' own heads, for the two steps that matter."""
    config = tiny(tmp_path / "run", data, "clip + 0.25 * masked-prediction@80%", steps=5)
    out = train(replace(config, log_every=1))
    terms = [r["terms"] for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]
    assert ["masked-prediction" in term for term in terms] == [False] * 4 + [True]
    assert 0 < terms[-1]["masked-prediction"]["loss"] < 4 * math.log(8192)
