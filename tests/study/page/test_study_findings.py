"""What is asked of a study's points, and which answer decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic_study import ARMS, findings_of, points_of, study_of

from sightword.errors import SightwordError
from sightword.study.findings import analyse

SMALL = {"sizes": (1000, 9000), "seeds": (0, 1), "arms": ARMS[:2]}


def test_the_first_arms_run_serves_both_budgets() -> None:
    found = findings_of(study_of(**SMALL))
    first = {
        budget: [p for p in found.points if p.objective == "clip" and p.budget == budget]
        for budget in ("samples", "flops")
    }
    assert len(first["samples"]) == len(first["flops"]) == 2 * 2 * 3 * 2
    for one, other in zip(first["samples"], first["flops"], strict=True):
        assert (one.size, one.seed, one.dataset, one.value) == (
            other.size,
            other.seed,
            other.dataset,
            other.value,
        )


def test_the_mean_of_the_first_task_decides_at_each_budget() -> None:
    found = findings_of(study_of(**SMALL), tasks=("knn", "linear", "zeroshot"))
    deciding = found.deciding["vit-tiny"]
    assert [(a.question.budget, a.question.task, a.question.is_mean) for a in deciding] == [
        ("samples", "zeroshot", True),
        ("flops", "zeroshot", True),
    ]
    assert {a.question.task for a in found.others("vit-tiny")} == {"knn", "linear"}
    assert {v.question for v in found.verdicts} == {a.question for a in deciding}


@pytest.mark.parametrize(
    ("tasks", "wanted"), [(("retrieval", "knn"), "retrieval"), (("knn", "linear"), "linear")]
)
def test_other_tasks_decide_in_a_fixed_order(tasks: tuple[str, ...], wanted: str) -> None:
    found = findings_of(study_of(**SMALL), sets=("held_out",), tasks=tasks)
    assert {(a.question.task, a.question.dataset) for a in found.deciding["vit-tiny"]} == {
        (wanted, "held_out")
    }


def test_of_several_metrics_the_data_sets_own_decides() -> None:
    study = study_of(**SMALL)
    points = list(points_of(study, sets=("mine",), tasks=("zeroshot",)))
    others = [replace(p, metric="aaa", headline=False) for p in points]
    found = analyse(study, [*others, *points], resamples=20)
    assert {a.question.metric for a in found.deciding["vit-tiny"]} == {"acc1"}


def test_a_model_without_points_has_no_verdict() -> None:
    study = study_of(**SMALL, models=("vit-tiny", "vit-small"))
    found = analyse(study, [p for p in points_of(study) if p.model == "vit-tiny"], resamples=20)
    assert found.deciding["vit-small"] == ()
    assert {v.question.model for v in found.verdicts} == {"vit-tiny"}


def test_no_points_is_an_error() -> None:
    with pytest.raises(SightwordError, match="no scores"):
        analyse(study_of(**SMALL), [])
