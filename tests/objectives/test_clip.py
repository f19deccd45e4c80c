"""CLIP's objective: what it measures, and what one rank of several sends back."""

from __future__ import annotations

import math

import pytest
import torch
from fake_encoders import AROUND, IMAGE, fake_batch, fake_encodings
from torch import Tensor

from sightword import distributed
from sightword.errors import SightwordError
from sightword.objectives.clip import Clip
from sightword.towers.joint_space import JointSpace
from sightword.words import Encoded, Surroundings, Term


def meeting_place() -> JointSpace:
    """A space of eight axes in which equal features of either side meet."""
    joint = JointSpace(8, 8, 8)
    with torch.no_grad():
        joint.image.weight.copy_(torch.eye(8))
        joint.text.weight.copy_(torch.eye(8))
    return joint


def score(image: Tensor, text: Tensor, joint: JointSpace, **options: bool) -> Term:
    clip = Clip(AROUND, **options)
    tokens = torch.zeros(len(image), 1, 8)
    encoded = {"image": Encoded(image, tokens), "text": Encoded(text, tokens)}
    return clip(encoded, fake_batch(clip.wants, rows=len(image)), joint)


def test_pairs_that_meet_are_all_found() -> None:
    term = score(torch.eye(8), 3 * torch.eye(8), meeting_place())
    assert term.metrics["image_to_text_accuracy"] == 1
    assert term.metrics["text_to_image_accuracy"] == 1
    assert float(term.metrics["pair_cosine"]) == pytest.approx(1)
    assert float(term.metrics["logit_scale"]) == pytest.approx(1 / 0.07)
    expected = math.log(math.exp(1 / 0.07) + 7) - 1 / 0.07
    assert float(term.loss.detach()) == pytest.approx(expected, abs=5e-7)


def test_pairs_that_miss_are_not_and_either_way_counts_by_itself() -> None:
    term = score(torch.eye(8), torch.eye(8).roll(1, dims=0), meeting_place())
    assert term.metrics["image_to_text_accuracy"] == term.metrics["text_to_image_accuracy"] == 0
    assert float(term.metrics["pair_cosine"]) == pytest.approx(0)


def test_each_way_is_counted_by_itself() -> None:
    """Both pictures are nearest to their own caption; the second caption is nearest to the first picture."""

    def at(*degrees: float) -> Tensor:
        angles = torch.tensor(degrees).deg2rad()
        return torch.stack([angles.cos(), angles.sin(), *torch.zeros(6, len(degrees))], dim=1)

    term = score(at(0, 40), at(0, 15), meeting_place())
    assert term.metrics["image_to_text_accuracy"] == 1
    assert term.metrics["text_to_image_accuracy"] == 0.5


def test_the_projections_and_the_temperature_learn_with_it() -> None:
    clip = Clip(AROUND)
    joint = JointSpace(AROUND.image.width, 20, 16)
    batch = fake_batch(clip.wants)
    clip(fake_encodings(clip.wants, batch), batch, joint).loss.backward()
    for name, parameter in joint.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("exact", [True, False])
def test_gradients_reach_other_ranks_features_unless_slips_fault_is_asked_for(
    exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process plays the second of two ranks; the first rank's features are there already."""
    elsewhere = {key: torch.randn(4, 8, generator=torch.Generator().manual_seed(key)) for key in (0, 1)}
    others = [torch.nn.functional.normalize(x, dim=1).requires_grad_() for x in elsewhere.values()]
    waiting = list(others)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(distributed, "gather", lambda x: torch.cat([waiting.pop(0), x]))
    image, text = (torch.randn(4, 8, generator=torch.Generator().manual_seed(s)) for s in (2, 3))
    term = score(image, text, meeting_place(), gather_with_grad=exact)
    term.loss.backward()
    reached = [other.grad is not None and bool(other.grad.abs().max() > 0) for other in others]
    assert reached == [exact, exact]
    assert torch.isfinite(term.loss.detach())


def test_captions_are_needed() -> None:
    with pytest.raises(SightwordError, match="clip learns from captions"):
        Clip(Surroundings(IMAGE, None))
