"""What layouts of pictures and lists share: files that must be there, and lists whose pictures must be."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.jsonfiles import load_json
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.layouts.layout import read_file, split_of
from sightword.evaluation.tars import IMAGES
from sightword.evaluation.textfiles import read_lines

T = TypeVar("T")


def home_of(root: Path, inside: Sequence[str], *marks: str) -> Path | None:
    """The first of `root` and of these folders inside it in which all marks lie; None if there is none."""
    places = [root, *(root / name for name in inside)]
    return next((place for place in places if all((place / mark).exists() for mark in marks)), None)


def lines_of(card: Card, path: Path) -> list[str]:
    """The lines of a list that a data set cannot do without.

    Raises:
        SightwordError: when it is missing or empty.
    """
    lines = [line for line in read_lines(path) if line]
    if not lines:
        state = "is empty" if path.is_file() else "is missing"
        raise SightwordError(f"{card.title}: '{path}' {state}; get it: {card.get}")
    return lines


def fields_of(card: Card, path: Path, columns: int) -> list[list[str]]:
    """The lines of a list, cut at spaces; what is left of a line is its last column.

    Raises:
        SightwordError: when the list is missing, empty, or a line has fewer columns.
    """
    rows = [line.split(maxsplit=columns - 1) for line in lines_of(card, path)]
    for row in rows:
        if len(row) < columns:
            raise SightwordError(
                f"{card.title}: '{path}' has the line '{' '.join(row)}'; wanted {columns} columns"
            )
    return rows


def json_of(card: Card, path: Path, keep: Sequence[str] = ()) -> Any:
    """A JSON file that a data set cannot do without.

    Args:
        card: whose.
        path: the file.
        keep: of each object in it, only these entries are held in memory; none: all.

    Raises:
        SightwordError: when it is missing or is not JSON.
    """
    try:
        return load_json(path, lambda row: {name: row[name] for name in keep or row if name in row})
    except FileNotFoundError as error:
        raise SightwordError(f"{card.title}: '{path}' is missing; get it: {card.get}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SightwordError(
            f"{card.title}: '{path}' is not JSON ({error}); get it again: {card.get}"
        ) from error


def object_of(card: Card, path: Path, kind: type[T]) -> dict[str, T]:
    """A JSON file that holds an object, and in it only values of one kind.

    Raises:
        SightwordError: when it is missing, or something else.
    """
    found = json_of(card, path)
    if not isinstance(found, dict) or not all(isinstance(value, kind) for value in found.values()):
        raise SightwordError(
            f"{card.title}: '{path}' holds no JSON object of {kind.__name__}; get it again: {card.get}"
        )
    return found


def rows_of(card: Card, path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a table, whose first line names the columns; an empty field of a row is "".

    Raises:
        SightwordError: when it is missing or no text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = csv.DictReader(file, restval="", delimiter=delimiter)
            return [{name: row[name] for name in found.fieldnames or ()} for row in found]
    except FileNotFoundError as error:
        raise SightwordError(f"{card.title}: '{path}' is missing; get it: {card.get}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SightwordError(
            f"{card.title}: '{path}' is no table ({error}); get it again: {card.get}"
        ) from error


def number_of(card: Card, text: str, path: Path) -> int:
    """A whole number of a list.

    Raises:
        SightwordError: when it is none.
    """
    try:
        return int(text)
    except ValueError as error:
        raise SightwordError(f"{card.title}: '{path}' has '{text}' where a number belongs") from error


def listed(
    card: Card,
    split: str,
    root: Path,
    pictures: Sequence[str],
    labels: Sequence[int],
    source: Path,
    names: Sequence[str] = (),
) -> LabelledSet:
    """A split whose pictures a list names.

    Args:
        card: whose.
        split: the publisher's name for it.
        root: the folder that `pictures` are below.
        pictures: their paths, which are the keys as well.
        labels: for each, the position of its class.
        source: where the pictures and labels are listed, for errors.
        names: of the classes, where the card does not say them.

    Raises:
        SightwordError: when pictures are missing, or a label is none of the classes.
    """
    classes = len(names or card.classes)
    odd = [label for label in labels if not 0 <= label < classes]
    if odd:
        raise SightwordError(
            f"{card.title}: '{source}' has the label {odd[0]}; wanted one of {classes} classes"
        )
    must_exist(card, root, pictures, source)
    return split_of(card, split, pictures, read_file(root, pictures), np.array(labels, dtype=np.int64), names)


def listed_rows(
    card: Card, split: str, root: Path, rows: Sequence[tuple[str, int]], source: Path
) -> LabelledSet:
    """The same of pictures each with its label."""
    return listed(card, split, root, [picture for picture, _ in rows], [label for _, label in rows], source)


def must_exist(card: Card, root: Path, pictures: Sequence[str], source: Path) -> None:
    """Look whether all listed pictures are there; a folder is looked through once.

    Raises:
        SightwordError: when pictures are missing; tells how many, and the first.
    """
    folders = defaultdict[str, set[str]](set)
    for picture in pictures:
        folder, _, name = picture.rpartition("/")
        folders[folder].add(name)
    lacking = {folder: names - files_in(root / folder) for folder, names in folders.items()}
    count = sum(len(names) for names in lacking.values())
    if count:
        first = next(name for name in pictures if name.rpartition("/")[2] in lacking[name.rpartition("/")[0]])
        raise SightwordError(
            f"{card.title}: {count} of the {len(pictures)} pictures that '{source}' lists are missing below"
            f" '{root}', first '{first}'; get it: {card.get}"
        )


def files_in(folder: Path) -> set[str]:
    """The names of what lies in a folder; none where there is no folder."""
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def pictures_in(folder: Path) -> list[str]:
    """The names of a folder's pictures, sorted; hidden files are none."""
    return sorted(name for name in files_in(folder) if is_picture(name))


def is_picture(name: str) -> bool:
    """Whether a file's name is a picture's."""
    return not name.startswith(".") and name.rpartition(".")[2].lower() in IMAGES


def first_that(card: Card, places: Iterable[Path]) -> Path:
    """The first of several places that is there.

    Raises:
        SightwordError: when none is.
    """
    tried = list(places)
    found = next((place for place in tried if place.exists()), None)
    if found is None:
        where = ", ".join(f"'{place}'" for place in tried)
        raise SightwordError(f"{card.title}: nothing at {where}; get it: {card.get}")
    return found
