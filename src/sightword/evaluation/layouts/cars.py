"""Stanford Cars as its authors ship it: two folders of pictures, annotations in Matlab's files."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import first_that, home_of, listed
from sightword.evaluation.layouts.matfiles import field_of, variable_of

INSIDE = ("stanford_cars",)
TEST_TRUTH = "cars_test_annos_withlabels.mat"  # the devkit's own list of test pictures has no classes


@final
class Cars(Layout):
    """`cars_train/` with `devkit/cars_train_annos.mat`, `cars_test/` with `cars_test_annos_withlabels.mat`.

    Classes count from 1 in the order of `devkit/cars_meta.mat`, which is the card's. 8,144 pictures to learn
    from, 8,041 to test on; there is no validation split.
    """

    cards = ("cars",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, "cars_test") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, "cars_test")
        assert home is not None
        devkit = home / "devkit"
        meta = devkit / "cars_meta.mat"
        names = [str(name) for name in variable_of(card, meta, "class_names")]
        if len(names) != len(card.classes):
            raise SightwordError(
                f"{card.title}: '{meta}' has {len(names)} classes, wanted {len(card.classes)}"
            )
        truth = first_that(card, (home / TEST_TRUTH, devkit / TEST_TRUTH))
        test = _split(home, card, "test", truth)
        return Benchmark(card.name, (test,), _split(home, card, "train", devkit / "cars_train_annos.mat"))


def _split(home: Path, card: Card, split: str, source: Path) -> LabelledSet:
    pictures = [str(name) for name in field_of(card, source, "annotations", "fname")]
    labels = [int(str(number)) - 1 for number in field_of(card, source, "annotations", "class")]
    return listed(card, split, home / f"cars_{split}", pictures, labels, source)
