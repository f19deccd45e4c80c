"""The joint space: CLIP's projections and temperature."""

from __future__ import annotations

import math

import pytest
import torch

from sightword.towers.joint_space import JointSpace


def test_embeddings_are_projected_and_of_length_one():
    torch.manual_seed(0)
    joint = JointSpace(6, 5, 4)
    image, text = torch.randn(3, 6), torch.randn(3, 5)
    for embedded, weight, pooled in (
        (joint.embed_image(image), joint.image.weight, image),
        (joint.embed_text(text), joint.text.weight, text),
    ):
        projected = pooled @ weight.T
        expected = projected / projected.square().sum(1, keepdim=True).sqrt()
        torch.testing.assert_close(embedded, expected)
    assert {n for n, _ in joint.named_parameters()} == {"image.weight", "text.weight", "logit_scale"}


def test_embeddings_are_float32_under_autocast():
    joint = JointSpace(6, 5, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedded = joint.embed_image(torch.randn(3, 6))
    assert embedded.dtype == torch.float32
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))


def test_scale_starts_at_the_papers_temperature_and_stops_at_100():
    joint = JointSpace(6, 5, 4)
    assert joint.logit_scale.shape == (1,)
    assert joint.scale().item() == pytest.approx(1 / 0.07, rel=1e-6)
    joint.clamp_()
    assert joint.scale().item() == pytest.approx(1 / 0.07, rel=1e-6)
    with torch.no_grad():
        joint.logit_scale.fill_(math.log(250))
    joint.clamp_()
    assert joint.scale().item() == pytest.approx(100, rel=1e-5)
    assert joint.logit_scale.requires_grad


def test_starts_with_unit_variance():
    torch.manual_seed(0)
    joint = JointSpace(400, 900, 256)
    assert joint.image.weight.std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert joint.text.weight.std().item() == pytest.approx(900**-0.5, rel=0.02)
