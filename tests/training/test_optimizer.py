"""Which parameters decay, how the learning rate moves, how gradients are measured and clipped."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tiny_runs import RESNET, SIMCLR, VIT, opened
from torch import nn

from sightword.config import OptimizerConfig
from sightword.training.loop import Loop
from sightword.training.optimizer import gradient_norm, learning_rate

CONFIG = OptimizerConfig(lr=1e-3, lr_start=1e-6, lr_end=1e-5, warmup=0.1)


@pytest.mark.parametrize("image", [VIT, replace(VIT, pool="attention"), RESNET])
def test_biases_norms_and_the_scale_do_not_decay(tmp_path: Path, data: Path, image: object) -> None:
    """Written down by kind of module, not by the rule that is tested."""
    session = opened(tmp_path / "run", data, f"clip + {SIMCLR}", image=image)
    still = set[int]()
    for module in session.model.modules():
        if isinstance(module, nn.LayerNorm | nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm):
            still |= {id(p) for p in module.parameters()}
        elif isinstance(getattr(module, "bias", None), nn.Parameter):
            still.add(id(module.bias))
    joint = session.model.encoders.joint
    assert joint is not None
    still.add(id(joint.logit_scale))
    decayed, kept = session.optimizer.param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in kept["params"]} == still
    everything = {id(p) for p in session.model.parameters() if p.requires_grad}
    assert {id(p) for p in decayed["params"]} == everything - still


def test_embeddings_and_tokens_decay_as_slips(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data)
    decayed = {id(p) for p in session.optimizer.param_groups[0]["params"]}
    named = dict(session.model.encoders.named_parameters())
    for name in ("towers.image.class_token", "towers.text.positional_embedding", "joint.image.weight"):
        assert id(named[name]) in decayed


def naive_rate(samples: int, total: int) -> float:
    """Linear, then half a cosine, in so many words."""
    warm = 0.1 * total
    if samples <= warm:
        return 1e-6 + (1e-3 - 1e-6) * samples / warm
    angle = math.pi * (samples - warm) / (total - warm)
    return 1e-5 + 0.5 * (1e-3 - 1e-5) * (1 + math.cos(angle))


@pytest.mark.parametrize("total", [10, 37, 1000])
def test_the_learning_rate_warms_up_and_falls(total: int) -> None:
    rates = [learning_rate(CONFIG, samples, total) for samples in range(total + 1)]
    assert rates == pytest.approx([naive_rate(samples, total) for samples in range(total + 1)], rel=1e-9)
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] == pytest.approx(1e-5)
    assert max(rates) <= 1e-3
    top = math.ceil(0.1 * total)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_the_learning_rate_has_no_jump() -> None:
    rates = [learning_rate(CONFIG, samples, 10_000) for samples in range(10_001)]
    steps = [abs(a - b) for a, b in pairwise(rates)]
    assert max(steps) < 1.1 * (1e-3 - 1e-6) / 1000


def test_the_learning_rate_does_not_depend_on_the_batch() -> None:
    """Step 3 of 10 of 32 samples is step 6 of 20 of 16."""
    assert learning_rate(CONFIG, 3 * 32, 10 * 32) == learning_rate(CONFIG, 6 * 16, 20 * 16)


def test_without_warm_up_it_starts_at_the_top() -> None:
    config = replace(CONFIG, warmup=0.0)
    assert learning_rate(config, 0, 10) == 1e-3
    assert learning_rate(replace(CONFIG, warmup=1.0), 10, 10) == pytest.approx(1e-3)


@pytest.mark.parametrize("clip", [0.0, 0.5, 100.0])
def test_gradients_are_measured_and_clipped(clip: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model(torch.randn(5, 3)).square().sum().backward()
    before = torch.cat([p.grad.flatten() for p in model.parameters()])
    norm = gradient_norm(model, clip)
    after = torch.cat([p.grad.flatten() for p in model.parameters()])
    length = float(before.square().sum().sqrt())
    assert 0.5 < length < 100
    assert float(norm) == pytest.approx(length, rel=1e-5)
    wanted = before * (clip / length) if clip == 0.5 else before
    torch.testing.assert_close(after, wanted, rtol=1e-4, atol=1e-6)


def test_a_step_is_adamw_s(tmp_path: Path, data: Path) -> None:
    """The first step by the paper's algorithm (arXiv 1711.05101), with the rate and the decay of the run."""
    session = opened(tmp_path / "run", data, optimizer=replace(CONFIG, wd=0.3, lr_start=1e-3))
    before = {n: p.detach().clone() for n, p in session.model.named_parameters()}
    grads: dict[str, torch.Tensor] = {}

    def keep(*_: object) -> None:
        grads.update({n: p.grad.clone() for n, p in session.model.named_parameters() if p.grad is not None})

    session.optimizer.register_step_pre_hook(keep)
    outcome = Loop(session)._step(0, session.steps(None)[0])
    assert outcome.lr == pytest.approx(1e-3)
    for name, parameter in session.model.named_parameters():
        decay = 0.3 if parameter.ndim >= 2 else 0.0
        update = grads[name] / (grads[name].abs() + 1e-8)
        wanted = before[name] * (1 - 1e-3 * decay) - 1e-3 * update
        torch.testing.assert_close(parameter, wanted, rtol=1e-4, atol=2e-6, msg=name)
    total = math.sqrt(sum(float(g.double().square().sum()) for g in grads.values()))
    assert outcome.gradient_norm == pytest.approx(total, rel=1e-4)
