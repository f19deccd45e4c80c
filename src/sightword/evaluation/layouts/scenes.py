"""EuroSAT and RESISC45: a folder for each class, and no split of the publisher's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, card_of, place_in
from sightword.evaluation.labelled import Benchmark
from sightword.evaluation.layouts.drawn import drawn, part_name
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import lines_of, listed, pictures_in

PARTS = ("train", "val", "test")
Files = Mapping[str, Sequence[str]]  # of each class, sorted
Split = Callable[[Card, Files], Mapping[str, Sequence[str]]]  # of each part, by its name in scores


@final
class Scenes(Layout):
    """`CLASS/CLASS_17.jpg`.

    Where `NAME-train.txt`, `NAME-val.txt` and `NAME-test.txt` (one file name a line) lie beside the class
    folders or above them, they are the split, called `train-listed` and so on. These lists are published
    with Neumann et al. 2019 (1911.06721). Otherwise the split is the one given here.

    card: of the data set; its ids are the class folders.
    inside: where the publisher's archive has the class folders.
    split: the parts, where there are no lists; the first two begin with `train` and, if any, `val`.
    """

    def __init__(self, card: str, inside: Sequence[str], split: Split) -> None:
        self.cards = (card,)
        self._inside, self._split = tuple(inside), split

    def lies_in(self, root: Path) -> bool:
        return self._home(root) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = self._home(root)
        assert home is not None
        files = {name: pictures_in(home / name) for name in card.ids}
        lists = next((at for at in (home, root) if _list(at, card, "test").is_file()), None)
        parts = _listed(lists, card, files) if lists else self._split(card, files)
        sets = {
            part.partition("-")[0]: listed(card, part, home, pictures, _labels(card, pictures), lists or home)
            for part, pictures in parts.items()
        }
        return Benchmark(card.name, (sets["test"],), sets["train"], sets.get("validation"))

    def _home(self, root: Path) -> Path | None:
        wanted = card_of(self.cards[0]).ids
        places = (root, *(root / name for name in self._inside))
        return next((at for at in places if all((at / name).is_dir() for name in wanted)), None)


def _labels(card: Card, pictures: Sequence[str]) -> list[int]:
    return [place_in(card, picture.partition("/")[0]) for picture in pictures]


def _list(folder: Path, card: Card, part: str) -> Path:
    return folder / f"{card.name}-{part}.txt"


def _listed(folder: Path, card: Card, files: Files) -> dict[str, list[str]]:
    """The parts of three lists, which name files without their class folders."""
    at = {name: f"{folder_of}/{name}" for folder_of, names in files.items() for name in names}
    parts = {}
    for part in PARTS:
        source = _list(folder, card, part)
        names = [line.rpartition("/")[2] for line in lines_of(card, source)]
        lacking = [name for name in names if name not in at]
        if lacking:
            raise SightwordError(
                f"{card.title}: {len(lacking)} of the {len(names)} pictures that '{source}' lists are"
                f" missing, first '{lacking[0]}'; get it: {card.get}"
            )
        parts[f"{'validation' if part == 'val' else part}-listed"] = [at[name] for name in names]
    return parts


def first_of_each_class(train: int, test: int) -> Split:
    """Of each class the first `train` files in the order of their names, then `test`; the others are unused.

    With 1,000 and 500 this is EuroSAT's split in CLIP (2103.00020, table 9: 10,000 and 5,000) as VISSL's
    script makes it for SLIP.
    """

    def split(card: Card, files: Files) -> dict[str, list[str]]:
        few = [name for name, mine in files.items() if len(mine) < train + test]
        if few:
            raise SightwordError(
                f"{card.title}: class '{few[0]}' holds {len(files[few[0]])} pictures; wanted at least"
                f" {train + test}; get it: {card.get}"
            )
        parts = {f"train-first-{train}": slice(train), f"test-next-{test}": slice(train, train + test)}
        return {
            part: [f"{name}/{file}" for name, mine in files.items() for file in mine[cut]]
            for part, cut in parts.items()
        }

    return split


def drawn_of_each_class(train: int, validation: int, test: int) -> Split:
    """Of each class so many per cent, drawn by the files' names."""
    percents = (train, validation, test)

    def split(card: Card, files: Files) -> dict[str, list[str]]:
        by_class = [
            [[f"{name}/{mine[row]}" for row in rows] for rows in drawn(card.name, mine, percents)]
            for name, mine in files.items()
        ]
        names = map(part_name, ("train", "validation", "test"), percents)
        return {
            name: list(chain(*mine)) for name, mine in zip(names, zip(*by_class, strict=True), strict=True)
        }

    return split


EUROSAT = Scenes("eurosat", ("2750", "EuroSAT_RGB", "EuroSAT/2750"), first_of_each_class(1000, 500))
RESISC45 = Scenes("resisc45", ("NWPU-RESISC45",), drawn_of_each_class(60, 20, 20))
