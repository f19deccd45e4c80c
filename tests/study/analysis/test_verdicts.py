from __future__ import annotations

import numpy as np
import pytest
from drawn_studies import ARMS, drawn

from sightword.errors import SightwordError
from sightword.study.analysis.answers import Answer, analyse
from sightword.study.analysis.points import Point
from sightword.study.analysis.verdicts import pairs_of, tell, verdict


def answered(points: list[Point]) -> Answer:
    (answer,) = analyse(points, ARMS, resamples=20)
    return answer


def lasting(arm: int, size: int) -> float:
    return 0.3 + 0.1 * np.log10(size / 1000) + 0.06 * arm


def turning(arm: int, size: int) -> float:
    return 0.4 + arm * 0.08 * (4 - np.log10(size))


def level(arm: int, size: int) -> float:
    return 0.4


def test_a_gain_is_told_with_its_numbers_and_conditions() -> None:
    answer = answered(drawn(lasting, n=4000))
    one = verdict(answer, answer.arms[0], 10_000)
    gain = answer.arms[0].gains[2].gain
    said = " ".join(one.sentences())
    assert one.pays == 1
    told = f"{100 * gain.value:.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    assert f"raised the score by {told}" in said
    assert "On pets, zeroshot acc1, vit-tiny at 10,000 pairs, adding simclr to clip" in said
    assert "at equal samples seen" in said
    assert "No crossover from the smallest size up to 300 thousand pairs: it stays better." in said
    ends = "3 seeds of each; 95 % intervals over test examples and seeds.)"
    assert said.endswith(f"(Runs of 1,000, 3,000, 10,000, 30,000 pairs, {ends}")


def test_a_crossover_is_told_with_its_interval_and_sides() -> None:
    answer = answered(drawn(turning, n=4000))
    one = verdict(answer, answer.arms[0], 1000)
    assert one.pays == 1
    assert verdict(answer, answer.arms[0]).pays == -1
    size = one.crossover.size
    told = f"at {pairs_of(size.value)} [{pairs_of(size.low)}, {pairs_of(size.high)}]"
    said = " ".join(one.findings())
    assert f"{told}, within the sizes that were run: better below, worse above." in said
    assert "it fell, by" in said


def test_no_difference_is_no_claim() -> None:
    answer = answered(drawn(level))
    one = verdict(answer, answer.arms[0])
    said = " ".join(one.findings())
    assert one.pays == 0
    assert "no difference was shown at equal samples seen from adding simclr to clip" in said
    assert "undetermined at every size" in said
    for claim in ("raised", "lowered", "better from", "fell", "grew"):
        assert claim not in said


def test_what_fails_the_correction_says_so() -> None:
    for seed in range(200):
        answer = answered(drawn(lambda a, size: 0.4 + 0.008 * a, seed=seed))
        gains = answer.arms[0].gains
        clear = [gain for gain in gains if gain.gain.low > 0 and not gain.shown]
        if clear:
            one = verdict(answer, answer.arms[0], clear[0].size)
            assert one.pays == 0
            assert "does not hold after the correction" in one.findings()[0]
            return
    raise AssertionError("no such study was drawn")


def test_a_size_that_was_not_run_is_predicted_or_refused() -> None:
    answer = answered(drawn(lasting, n=4000))
    one = verdict(answer, answer.arms[0], 100_000)
    said = one.findings()[0]
    assert one.measured is None
    assert one.pays == 1
    assert "is expected to have raised the score by" in said
    assert said.endswith("(predicted from the other sizes).")
    with pytest.raises(SightwordError, match="would be a guess"):
        verdict(answer, answer.arms[0], 10_000_000)


def test_one_seed_shows_nothing() -> None:
    answer = answered(drawn(lasting, seeds=1, n=4000))
    one = verdict(answer, answer.arms[0])
    said = " ".join(one.sentences())
    assert one.pays == 0
    assert "in the only seed; how much seeds differ is not known, so nothing is shown" in said
    assert "1 seed of each; 95 % intervals over test examples, and seeds only where there are two.)" in said
    nowhere = verdict(answer, answer.arms[0], 5000)
    assert "nothing can be said" in nowhere.findings()[0]


def test_both_budgets_are_one_paragraph_with_conditions_once() -> None:
    points = [*drawn(lasting), *drawn(level, seed=1, budget="flops")]
    answers = analyse(points, ARMS, resamples=20)
    said = tell([verdict(answer, answer.arms[0]) for answer in answers])
    assert said.count("(Runs of") == 1
    assert "at equal samples seen" in said
    assert "at equal training FLOPs" in said


def test_sizes_are_said_for_people() -> None:
    said = [pairs_of(size) for size in (8000, 99_900, 310_400, 999_700, 1.4e6, 3.2e9, 1234.5)]
    assert said == [
        "8,000 pairs", "99,900 pairs", "310 thousand pairs", "1 million pairs", "1.4 million pairs",
        "3.2 billion pairs", "1,230 pairs",
    ]  # fmt: skip
