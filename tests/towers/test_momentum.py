"""Momentum copies: the schedule, what is averaged, and what must not happen."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sightword.towers.momentum import Follower, momentum_at
from sightword.words import Teacher


def leader() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def move(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    module(torch.randn(8, 3))


def test_schedule_is_a_half_cosine():
    teacher = Teacher(0.99, 1.0)
    assert momentum_at(teacher, 0.0) == pytest.approx(0.99)
    assert momentum_at(teacher, 0.5) == pytest.approx(0.995)
    assert momentum_at(teacher, 1 / 3) == pytest.approx(0.9925)  # cos 60 degrees = 1/2
    assert momentum_at(teacher, 1.0) == 1
    assert momentum_at(Teacher(0.9, 0.9), 0.7) == pytest.approx(0.9)


def test_starts_equal_and_follows():
    lead = leader()
    follower = Follower(lead, Teacher(0.75, 0.75))
    before = {k: v.clone() for k, v in lead.state_dict().items()}
    assert all(torch.equal(follower.copy.state_dict()[k], v) for k, v in before.items())
    move(lead)
    follower.update(0.3)
    for name, value in follower.copy.state_dict().items():
        now = lead.state_dict()[name]
        expected = 0.75 * before[name] + 0.25 * now if value.is_floating_point() else now
        torch.testing.assert_close(value, expected, msg=name)
    assert follower.copy[1].num_batches_tracked.item() == 1


def test_momentum_one_stands_still():
    lead = leader()
    follower = Follower(lead, Teacher(0.5, 1.0))
    before = copy.deepcopy(list(follower.copy.parameters()))
    move(lead)
    follower.update(1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, follower.copy.parameters(), strict=True))


def test_leader_is_not_a_part_and_no_gradient_flows():
    lead = leader()
    follower = Follower(lead, Teacher())
    assert all(name.startswith("copy.") for name in follower.state_dict())
    assert [p for p in follower.parameters() if p.requires_grad] == []
    x = torch.randn(5, 3, requires_grad=True)
    answer = follower(x)
    torch.testing.assert_close(answer, lead(x).detach())
    assert not answer.requires_grad


def test_a_copied_tree_follows_its_own_leader():
    class Tree(nn.Module):
        def __init__(self, follower_first: bool) -> None:
            super().__init__()
            lead = leader()
            parts = {"follower": Follower(lead, Teacher(0.0, 0.0)), "lead": lead}
            for name in parts if follower_first else reversed(parts):
                self.add_module(name, parts[name])

    for follower_first in (True, False):
        tree = Tree(follower_first)
        clone = copy.deepcopy(tree)
        assert clone.follower.leader is clone.lead
        move(clone.lead)
        clone.follower.update(0.0)
        torch.testing.assert_close(clone.follower.copy[0].weight, clone.lead[0].weight)
        assert torch.equal(tree.follower.copy[0].weight, tree.lead[0].weight)
        assert not torch.equal(tree.lead[0].weight, clone.lead[0].weight)


def test_training_mode_reaches_the_copy():
    follower = Follower(leader(), Teacher())
    follower.eval()
    assert not follower.copy[1].training
    assert follower.leader[1].training
