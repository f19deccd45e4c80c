"""VQA v2.0 as visualqa.org ships it: questions and annotations apart, pictures of MS COCO 2014."""

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
from sightword.evaluation.vqa.rules import Consensus

_QUESTIONS = "v2_OpenEnded_mscoco_{}2014_questions.json"
_ANNOTATIONS = "v2_mscoco_{}2014_annotations.json"
# Side by side, or in the folders that the publishers' own tools look in.
_FOLDERS = ("", "Questions", "questions", "Annotations", "annotations")
_PICTURES = ("", "images", "Images/mscoco", "../coco", "../mscoco")


@final
class VQAv2(Layout):
    """Trained on train, scored on val: answers to the test questions are not published."""

    cards = ("vqav2",)

    def lies_in(self, root: Path) -> bool:
        return first_there(root, _FOLDERS, _QUESTIONS.format("val")) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        there = first_there(root, _FOLDERS, _QUESTIONS.format("train")) is not None
        return Benchmark(
            card.name, (_split(root, card, "val"),), _split(root, card, "train") if there else None
        )


def _split(root: Path, card: Card, split: str) -> QuestionSet:
    asked, said = (_file(root, name.format(split)) for name in (_QUESTIONS, _ANNOTATIONS))
    questions = listed(asked, read_json(asked, lambda row: row), "questions")
    annotations = listed(said, read_json(said, _slim), "annotations")
    by_id = {row.get("question_id"): row for row in annotations}

    def rows() -> Iterator[Asked]:
        for question in questions:
            if question["question_id"] not in by_id:
                raise SightwordError(
                    f"'{said}' lacks question {question['question_id']} of '{asked}'; get both again"
                )
            yield _asked(question, by_id[question["question_id"]], split)

    folder = first_there(root, _PICTURES, f"{split}2014") or root / f"{split}2014"
    return question_set(card, split, folder, asked, Consensus(), rows(), len(questions))


def _slim(row: dict[str, Any]) -> Any:
    """An answer becomes its words alone."""
    return row["answer"] if "answer_id" in row else row


def _asked(question: Row, annotation: Row, split: str) -> Asked:
    return Asked(
        key=str(question["question_id"]),
        picture=f"COCO_{split}2014_{question['image_id']:012d}.jpg",
        text=question["question"],
        answers=tuple(annotation["answers"]),
        agreed=annotation["multiple_choice_answer"],
        kinds=(annotation["answer_type"],),
        detail=annotation["question_type"],
    )


def _file(root: Path, name: str) -> Path:
    found = first_there(root, _FOLDERS, name)
    if found is None:
        raise SightwordError(f"no {name} in '{root}'; get it from https://visualqa.org/download.html")
    return found
