"""The catalogue for people: every published data set in a line, what it is asked, and where it lies."""

from __future__ import annotations

from pathlib import Path

from sightword.evaluation.cards import Card, cards
from sightword.evaluation.finding import find
from sightword.evaluation.settings import described
from sightword.evaluation.tasks import DEFAULT, TASKS


def listing(data_root: Path) -> list[str]:
    """A line for each data set, and before them what the columns are."""
    rows = [_row(card, data_root) for card in cards().values()]
    head = ("name", "suites", "task", "classes", "metric", "where, or how to get it")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]
    return [
        "  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[-1]])
        for row in (head, *rows)
    ]


def tasks_listing() -> list[str]:
    """A line for each task: its name, whether it is done unasked, and its settings."""
    rows = [(task.name, "default" if task.name in DEFAULT else "", described(task)) for task in TASKS]
    wide = max(len(name) for name, _, _ in rows)
    head = f"{'task':<{wide}}           settings (--set TASK.SETTING=VALUE)"
    return [head, *(f"{name:<{wide}}  {usual:<7}  {how}".rstrip() for name, usual, how in rows)]


def _row(card: Card, data_root: Path) -> tuple[str, ...]:
    found = find(card, data_root)
    looked = ", ".join(card.places)
    where = str(found) if isinstance(found, Path) else f"missing below {data_root}: {looked}; {card.get}"
    classes = str(len(card.classes)) if card.classes else "-"
    return card.name, ",".join(card.suites), card.task, classes, card.metric, where
