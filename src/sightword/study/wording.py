"""What a study asks, in words."""

from __future__ import annotations

from sightword.report import phrases
from sightword.report.records import Measure
from sightword.study.analysis.points import Question


def measure(question: Question) -> str:
    """What was measured: "zero-shot, mean over data sets", "zero-shot, top-1 on pets"."""
    if question.is_mean:
        return f"{phrases.task(question.task)}, {question.dataset}"
    said = phrases.metric(Measure(question.dataset, "", question.task, question.metric))
    return f"{said} on {question.dataset}"
