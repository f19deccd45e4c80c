"""What the publishers of questions share: JSON of which little is kept, pictures by name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.jsonfiles import Shrink, load_json
from sightword.evaluation.progress import watched
from sightword.evaluation.vqa.questions import Questions, QuestionSet
from sightword.evaluation.vqa.rules import Rule

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """One question as a publisher's files tell it; the columns are those of `Questions`."""

    key: str
    picture: str
    text: str
    answers: tuple[str, ...]
    agreed: str
    kinds: tuple[str, ...]
    detail: str


def first_there(root: Path, folders: Sequence[str], name: str) -> Path | None:
    """The first `root/folder/name` that exists."""
    return next((path for path in (root / folder / name for folder in folders) if path.exists()), None)


def read_json(path: Path, shrink: Shrink) -> Any:
    """The content of a JSON file.

    Args:
        path: the file; the largest are of 1 GB, most of it programs that nobody here asks for.
        shrink: makes less of each object as soon as it is read.

    Raises:
        SightwordError: when it is not JSON, or `shrink` does not find what it looks for.
    """
    try:
        return load_json(path, shrink)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SightwordError(f"'{path}' is not whole JSON ({error}); get it again") from error
    except (KeyError, IndexError, TypeError) as error:
        raise _of_another_shape(path, error) from error


def listed(path: Path, content: Any, name: str) -> Sequence[Row]:
    """The list of objects under a name.

    Raises:
        SightwordError: when there is none.
    """
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, list) or not found or not all(isinstance(row, dict) for row in found):
        raise SightwordError(f"'{path}' has no list of {name}; wanted the publisher's file")
    return found


def question_set(
    card: Card, split: str, folder: Path, source: Path, rule: Rule, rows: Iterable[Asked], count: int
) -> QuestionSet:
    """A split of a card's questions, about pictures of one folder; those not asked about are left aside.

    Args:
        card: whose.
        split: the publisher's name for it.
        folder: of the pictures.
        source: the file of the questions, for errors.
        rule: when an answer is right.
        rows: the questions, in the file's order.
        count: how many they are at most, for the bar.

    Raises:
        SightwordError: when a picture is missing, or the file lacks a field.
    """
    try:
        asked = list(watched(rows, count, f"questions of {card.name}/{split}"))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise _of_another_shape(source, error) from error
    pictures = sorted({one.picture for one in asked})
    _check_there(folder, pictures, source)
    place = {name: i for i, name in enumerate(pictures)}
    questions = Questions(
        keys=tuple(one.key for one in asked),
        of=np.array([place[one.picture] for one in asked], dtype=np.int64),
        texts=tuple(one.text for one in asked),
        answers=tuple(one.answers for one in asked),
        agreed=tuple(one.agreed for one in asked),
        kinds=tuple(one.kinds for one in asked),
        details=tuple(one.detail for one in asked),
    )
    return QuestionSet(
        name=card.name,
        split=split,
        keys=tuple(pictures),
        read=lambda i: (folder / pictures[i]).read_bytes(),
        metric=card.metric,
        questions=questions,
        rule=rule,
    )


def _of_another_shape(path: Path, error: Exception) -> SightwordError:
    return SightwordError(f"'{path}' holds a question of another shape ({error!r}); get it again")


def _check_there(folder: Path, pictures: Sequence[str], source: Path) -> None:
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    missing = [name for name in pictures if name not in there]
    if missing:
        raise SightwordError(
            f"'{folder}' lacks {len(missing)} of the {len(pictures)} pictures that '{source}' asks about"
            f" ({missing[0]}); get them from the publisher"
        )
