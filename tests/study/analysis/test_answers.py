from __future__ import annotations

import numpy as np
import pytest
from drawn_studies import ARMS, drawn

from sightword.errors import SightwordError
from sightword.statistics import holm
from sightword.study.analysis.answers import analyse
from sightword.study.analysis.points import MEAN


def rising(arm: int, size: int) -> float:
    return 0.3 + 0.1 * np.log10(size / 1000) + 0.04 * arm


def test_the_mean_and_the_data_sets_are_two_families() -> None:
    points = [*drawn(rising, seed=1), *drawn(rising, seed=2, dataset="cars")]
    mean, *single = analyse(points, ARMS, resamples=20)
    assert mean.question.dataset == MEAN
    assert [answer.main for answer in (mean, *single)] == [True, False, False]
    for family in ([mean], single):
        gains = [gain for answer in family for arm in answer.arms for gain in arm.gains]
        assert [gain.adjusted for gain in gains] == holm([gain.p for gain in gains])
    assert len(mean.laws) == 2


def test_an_only_data_set_is_the_question_and_budgets_stand_apart() -> None:
    points = [*drawn(rising, seed=1), *drawn(rising, seed=2, budget="flops")]
    answers = analyse(points, ARMS, resamples=20)
    assert [(a.question.budget, a.main) for a in answers] == [("samples", True), ("flops", True)]
    gains = [gain for answer in answers for gain in answer.arms[0].gains]
    assert [gain.adjusted for gain in gains] == holm([gain.p for gain in gains])


def test_a_gain_is_predicted_within_a_decade_and_not_further() -> None:
    (answer,) = analyse(drawn(rising), ARMS, resamples=20)
    arm = answer.arms[0]
    found = arm.at(300_000)
    assert found is not None
    assert found.low < 0.04 < found.high
    for size in (301_000, 99):
        with pytest.raises(SightwordError, match="would be a guess, ask within 100 and 300,000"):
            arm.at(size)


def test_a_study_has_two_objectives() -> None:
    for objectives in (("clip",), ("clip", "clip")):
        with pytest.raises(SightwordError, match="two different objectives"):
            analyse(drawn(rising), objectives)
