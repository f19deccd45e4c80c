"""Learning rates by trials: which is chosen, and what is said when the best is at the edge, or none."""

from __future__ import annotations

import math

import pytest

from sightword.errors import SightwordError
from sightword.study.arms import arms
from sightword.study.rates import at_the_edge, chosen

CLIP, SLIP = arms("clip; clip + simclr")


def test_the_best_of_each_arm_and_the_smaller_of_equals() -> None:
    found = {
        ("vit-tiny", CLIP): ((1e-4, 0.2), (1e-3, 0.5), (1e-2, 0.5)),
        ("vit-tiny", SLIP): ((1e-4, 0.3), (1e-3, math.nan), (1e-2, 0.1)),
    }
    rates = chosen(found)
    assert rates == {("vit-tiny", CLIP): 1e-3, ("vit-tiny", SLIP): 1e-4}
    (said,) = at_the_edge(found, rates)
    assert "clip + simclr on vit-tiny did best with the smallest learning rate that was tried, 0.0001" in said


def test_no_trial_has_a_score() -> None:
    with pytest.raises(SightwordError, match="no trial of a learning rate of 'clip' on vit-tiny"):
        chosen({("vit-tiny", CLIP): ((1e-4, math.nan), (1e-3, math.nan))})
