"""Which runs are compared, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightword.evaluation.compare import Difference
from sightword.report.fairness import Fair, fair_comparisons
from sightword.report.paired import Paired, measure_of, survives
from sightword.report.phrases import TIMES
from sightword.report.records import Run
from sightword.report.verdicts import Verdict, headline, in_common, numbers, outcome, price
from sightword.statistics import Interval


def run(label: str, samples: int, flops: float, objective: str = "clip", **start: object) -> Run:
    end = {"samples": samples, "flops": flops}
    return Run(Path(label), label, None, {"objective": objective, **start}, (), end, ())


def verdict(value: float, low: float, high: float) -> Verdict:
    first, second = run("clip", 100, 1e9), run("slip", 100, 3e9, "clip + simclr")
    found = Difference(
        "d", "s", "zeroshot", "acc1", 0.432, 0.432 + value, Interval(value, low, high), 99, 0.04
    )
    return Verdict(Fair(first, second, True, False), Paired({measure_of(found): found}), measure_of(found))


def pairs(*runs: Run) -> list[tuple[str, str, bool, bool]]:
    return [(f.first.label, f.second.label, f.same_samples, f.same_flops) for f in fair_comparisons(runs)]


def test_three_arms_are_compared_on_both_budgets() -> None:
    clip, slip = run("clip", 1000, 1e12), run("slip", 1000, 2.7e12, "clip + simclr")
    longer = run("longer", 2700, 2.69e12)
    wanted = [("clip", "slip", True, False), ("longer", "slip", False, True)]
    assert pairs(clip, slip, longer) == wanted
    assert pairs(clip, longer, slip) == wanted  # whatever the order, the simpler objective comes first


def test_equal_in_both_is_compared_once() -> None:
    assert pairs(run("a", 1000, 1e12), run("b", 1000, 1e12)) == [("a", "b", True, True)]


@pytest.mark.parametrize(
    ("samples", "flops", "found"),
    [(1001, 9e12, 1), (1002, 9e12, 0), (5000, 1.015e12, 1), (5000, 1.03e12, 0), (0, 0.0, 0)],
)
def test_how_near_is_equal(samples: int, flops: float, found: int) -> None:
    assert len(pairs(run("a", 1000, 1e12), run("b", samples, flops))) == found


def test_unknown_budgets_are_not_equal_budgets() -> None:
    assert pairs(run("a", 0, 0.0), run("b", 0, 0.0)) == []


def test_better_is_said_only_where_the_interval_leaves_out_zero() -> None:
    assert outcome(verdict(0.019, 0.004, 0.034)) == "slip is better than clip"
    assert outcome(verdict(-0.019, -0.034, -0.004)) == "clip is better than slip"
    for low, high in ((-0.001, 0.034), (0.0, 0.034), (-0.05, 0.0)):
        assert outcome(verdict(0.01, low, high)) == "no difference is shown between slip and clip"


def test_numbers_in_plain_words() -> None:
    said = numbers(verdict(0.019, 0.004, 0.034)).replace("\u202f", " ")
    assert said == "slip reached 45.1 % against 43.2 % for clip: +1.9 points (95 % interval 0.4 to 3.4)."
    assert numbers(verdict(0.009, -0.006, 0.024)).startswith("No difference shown: slip reached")
    assert "\u22120.6 to 2.4" in numbers(verdict(0.009, -0.006, 0.024))
    assert numbers(verdict(-0.02, -0.03, -0.01)).startswith("clip is better: slip reached")


def test_headline_names_each_budget() -> None:
    one = verdict(0.019, 0.004, 0.034)
    other = Verdict(Fair(one.fair.first, one.fair.second, False, True), Paired({}, "no outcomes"), None)
    assert headline([one, other], [], None) == (
        "At equal samples, slip is better than clip; at equal FLOPs, slip and clip were not scored alike."
    )


def test_price_and_what_was_shared() -> None:
    fair = verdict(0.1, 0.0, 0.2).fair
    assert price(fair) == f"Both saw 100 samples; slip cost 3.0{TIMES} the FLOPs of clip."
    a, b = run("a", 1, 1.0, data_hash="x", order_hash="o"), run("b", 1, 1.0, data_hash="x", order_hash="o")
    assert in_common(Fair(a, b, True, True)) == "The same pictures in the same order."
    c = run("c", 1, 1.0, data_hash="x", order_hash="p")
    assert in_common(Fair(a, c, True, True)) == "The same pictures."
    assert in_common(Fair(a, run("d", 1, 1.0), True, True)) == ""


def test_only_a_corrected_p_survives() -> None:
    def found(adjusted: float | None) -> Difference:
        return Difference("d", "s", "t", "m", 0.1, 0.2, Interval(0.1, 0.05, 0.15), 9, 0.01, adjusted)

    assert [survives(found(p)) for p in (0.049, 0.05, None)] == [True, False, False]
