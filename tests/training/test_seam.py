"""The seam carries more than a student of one input: momentum teachers, and a tower over both inputs."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tiny_runs import BYOL, RESNET, opened, plain, tiny
from torch import Tensor, nn

from sightword.objectives.base import Objective
from sightword.towers.joint_space import JointSpace
from sightword.towers.momentum import Follower
from sightword.training.caching import forward_backward
from sightword.training.loop import Loop, train
from sightword.training.pretrainer import Encoders, Pretrainer, Weighted
from sightword.training.records import read_records
from sightword.training.saving.checkpoint import newest
from sightword.training.together.engine import Engine
from sightword.views import named
from sightword.words import Batch, Caption, Encode, Encoded, ImageFacts, Masking, Surroundings, Term, Words


def test_a_sum_with_momentum_teachers_trains(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "run", data, f"clip + 0.5 * {BYOL}"))
    steps = [r for r in read_records(out / "metrics.jsonl") if r["kind"] == "step"]
    assert len(steps) == 6
    assert all(math.isfinite(step["terms"]["byol"]["loss"]) for step in steps)
    saved, _ = newest(out)
    assert saved is not None
    assert saved.step == 6


@pytest.mark.parametrize("image", [None, RESNET], ids=["vit", "resnet"])
def test_teachers_follow_with_their_momentum(tmp_path: Path, data: Path, image: object) -> None:
    """teacher <- m teacher + (1 - m) student, m from 0.9 to 1 by a half cosine, after every step."""
    changes = {} if image is None else {"image": image}
    session = opened(tmp_path / "run", data, f"clip + {BYOL}", **changes)
    loop, steps, model = Loop(session), session.steps(None), session.model
    (tower,) = model.teachers.values()
    heads = model.objectives["byol"].slow_projector
    for step in range(3):
        before = [copy.deepcopy(dict(f.copy.named_parameters())) for f in (tower, heads)]
        loop._step(step, steps[step])
        momentum = 1 - 0.1 * (math.cos(math.pi * (step + 1) / 6) + 1) / 2
        for follower, old in zip((tower, heads), before, strict=True):
            student = dict(follower.leader.named_parameters())
            for name, parameter in follower.copy.named_parameters():
                wanted = momentum * old[name] + (1 - momentum) * student[name]
                torch.testing.assert_close(parameter, wanted, rtol=0, atol=1e-6)
                assert parameter.grad is None
                assert not parameter.requires_grad
    assert tower.leader is model.encoders.towers["image"]
    moved = [
        not torch.equal(a, b) for a, b in zip(tower.copy.parameters(), tower.leader.parameters(), strict=True)
    ]
    assert any(moved)


def test_teachers_are_trained_by_nobody_and_saved(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data, f"clip + {BYOL}")
    trained = {id(p) for group in session.optimizer.param_groups for p in group["params"]}
    followers = [m for m in session.model.modules() if isinstance(m, Follower)]
    assert len(followers) == 2
    for follower in followers:
        assert not trained & {id(p) for p in follower.copy.parameters()}
    names = session.model.state_dict().keys()
    assert sum(name.startswith("teachers.") for name in names) == len(followers[1].copy.state_dict())
    student = session.model.encoders.towers["image"].state_dict()
    assert sum(name.startswith("encoders.towers.image.") for name in names) == len(student)


class Trunk(nn.Module):
    """A tower over both inputs, as small as can be: what it does not see does not reach it."""

    def __init__(self, facts: ImageFacts, vocab: int) -> None:
        super().__init__()
        self.facts = facts
        self.patches = nn.Linear(3 * 16, facts.width)
        self.words = nn.Embedding(vocab, facts.width)
        self.mix = nn.Linear(facts.width, facts.width)

    def forward(
        self,
        images: Tensor,
        words: Words,
        patches: Tensor | None,
        tokens: Tensor | None,
        replace: bool,
        replace_words: bool,
    ) -> Encoded:
        assert patches is not None
        assert tokens is not None
        assert not replace
        assert not replace_words
        b = len(images)
        cut = images.float().div(255).unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5)
        seen = torch.cat([self.patches(cut.reshape(b, 16, -1)), self.words(words.ids)], dim=1)
        hidden = torch.cat([patches, tokens], dim=1)
        mixed = torch.tanh(self.mix(seen)) * ~hidden[..., None]
        return Encoded(mixed.mean(1), mixed, hidden=hidden)


class Pairing(Objective):
    """Whether both halves of a joint encoding say the same: it asks for a joint tower and for a caption."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self.head = nn.Linear(around.image.width, 4)
        both = {"view": named.language(around.image.size), "caption": Caption()}
        self.wants = {
            "both": Encode("joint", **both, keep=Masking(0.5), keep_words=Masking(0.25)),
            "again": Encode("joint", **both, keep=Masking(0.5, draw=1), keep_words=Masking(0.25)),
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        one, other = self.head(encoded["both"].pooled), self.head(encoded["again"].tokens.mean(1))
        return Term((one - other).square().mean() + one.square().mean(), {})


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_joint_tower_needs_no_change(tmp_path: Path, data: Path, chunks: int) -> None:
    """Added to the encoders by name, it is asked, masked, batched and feature-cached like any other."""
    session = opened(tmp_path / "run", data)
    encoders, weighted = session.model.encoders, session.model.weighted
    around = weighted[0].objective.around
    assert around.text is not None
    trunk = Trunk(around.image, around.text.vocab)
    towers = {**encoders.towers, "joint": trunk}
    model = Pretrainer(
        Encoders(towers, encoders.joint), [*weighted, Weighted("pairing", Pairing(around), 0.5)]
    )
    calls: list[int] = []
    trunk.register_forward_hook(lambda module, inputs, answer: calls.append(len(answer.pooled)))
    answer = forward_backward(Engine(model), session.steps(None)[0], 1.0, chunks, plain())
    assert calls == ([16] if chunks == 1 else 2 * [6, 6, 4])
    pairing, clip = answer.terms["pairing"].loss, answer.terms["clip"].loss
    torch.testing.assert_close(answer.total, clip + 0.5 * pairing)
    for name, parameter in trunk.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name
    if chunks > 1:
        whole = copy.deepcopy(model)
        whole.zero_grad()
        forward_backward(Engine(whole), session.steps(None)[0], 1.0, 1, plain())
        for ours, theirs in zip(model.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)
