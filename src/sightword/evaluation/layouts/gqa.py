"""GQA as its authors ship it: one JSON of questions by their ids for each split, one folder of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.question_files import Asked, Row, first_there, question_set, read_json
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.rules import Exact

_QUESTIONS = "{}_balanced_questions.json"
_FOLDERS = ("questions", "", "questions1.2")
_KEPT = ("imageId", "question", "answer", "isBalanced", "types")


@final
class GQA(Layout):
    """Trained on the balanced train split, settings chosen on val, scored on testdev, as the authors ask.

    Accuracy counts balanced questions alone (the authors' evaluation code), of which these files consist.
    """

    cards = ("gqa",)

    def lies_in(self, root: Path) -> bool:
        return first_there(root, _FOLDERS, _QUESTIONS.format("testdev")) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        test, train, validation = (_split(root, card, split) for split in ("testdev", "train", "val"))
        assert test is not None  # `lies_in` has looked
        return Benchmark(card.name, (test,), train, validation)


def _split(root: Path, card: Card, split: str) -> QuestionSet | None:
    path = first_there(root, _FOLDERS, _QUESTIONS.format(split))
    if path is None:
        return None
    content = read_json(path, _slim)
    if not isinstance(content, dict) or not content:
        raise SightwordError(f"'{path}' holds no questions by their ids; wanted the publisher's file")

    def rows() -> Iterator[Asked]:
        return (_asked(key, row) for key, row in content.items() if row["isBalanced"])

    return question_set(card, split, root / "images", path, Exact(), rows(), len(content))


def _slim(row: dict[str, Any]) -> Any:
    """A question keeps what is asked for; its program, scene and annotations go."""
    return {name: row[name] for name in _KEPT if name in row} if "imageId" in row else row


def _asked(key: str, row: Row) -> Asked:
    types = row["types"]
    return Asked(
        key=key,
        picture=f"{row['imageId']}.jpg",
        text=row["question"],
        answers=(row["answer"],),
        agreed=row["answer"],
        kinds=(f"structural={types['structural']}", f"semantic={types['semantic']}"),
        detail=str(types["detailed"]),
    )
