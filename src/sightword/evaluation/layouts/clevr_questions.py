"""CLEVR v1.0's questions as their authors ship them, beside its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.question_files import (
    Asked,
    Row,
    first_there,
    listed,
    question_set,
    read_json,
)
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.rules import Exact

_KEPT = ("question_index", "image_filename", "question", "answer", "question_family_index", "program")
# What a question's program does last, as CLEVR's authors tell accuracies by (1612.06890).
_KINDS = {
    "exist": "exist",
    "count": "count",
    **dict.fromkeys(("equal_integer", "less_than", "greater_than"), "compare_integer"),
    **dict.fromkeys((f"query_{what}" for what in ("size", "color", "material", "shape")), "query"),
    **dict.fromkeys((f"equal_{what}" for what in ("size", "color", "material", "shape")), "compare"),
}


@final
class CLEVRQuestions(Layout):
    """Trained on train, scored on val: answers to the test questions are not published."""

    cards = ("clevr_qa",)

    def lies_in(self, root: Path) -> bool:
        return _file(root, "val") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        test, train = _split(root, card, "val"), _split(root, card, "train")
        assert test is not None  # `lies_in` has looked
        return Benchmark(card.name, (test,), train)


def _file(root: Path, split: str) -> Path | None:
    return first_there(root, ("questions", "CLEVR_v1.0/questions"), f"CLEVR_{split}_questions.json")


def _split(root: Path, card: Card, split: str) -> QuestionSet | None:
    path = _file(root, split)
    if path is None:
        return None
    rows = listed(path, read_json(path, _slim), "questions")

    def asked() -> Iterator[Asked]:
        return (_asked(row, path) for row in rows)

    return question_set(card, split, path.parents[1] / "images" / split, path, Exact(), asked(), len(rows))


def _slim(row: dict[str, Any]) -> Any:
    """A step of a program becomes its name, and a program its last step."""
    if "inputs" in row:
        return row["function"]
    if "image_filename" not in row:
        return row
    return {name: row[name][-1] if name == "program" else row[name] for name in _KEPT}


def _asked(row: Row, path: Path) -> Asked:
    if row["program"] not in _KINDS:
        raise SightwordError(f"'{path}' has a question that ends in '{row['program']}'; wanted CLEVR v1.0's")
    return Asked(
        key=str(row["question_index"]),
        picture=row["image_filename"],
        text=row["question"],
        answers=(row["answer"],),
        agreed=row["answer"],
        kinds=(_KINDS[row["program"]],),
        detail=f"family {row['question_family_index']}",
    )
