"""Caltech-101, which is shipped without splits: thirty pictures a class are learned from."""

from __future__ import annotations

from pathlib import Path

import pytest
from painted import number_of, opened, paint, refused

from sightword.evaluation.cards import card_of
from sightword.evaluation.labelled import LabelledSet

# The publisher's folders of the classes whose words are not their folder's name.
RENAMED = {
    "background": "BACKGROUND_Google", "off-center face": "Faces", "centered face": "Faces_easy",
    "leopard": "Leopards", "motorbike": "Motorbikes", "airplane": "airplanes", "side of a car": "car_side",
    "body of a cougar cat": "cougar_body", "face of a cougar cat": "cougar_face",
    "head of a  crocodile": "crocodile_head", "head of a flamingo": "flamingo_head",
    "snoopy (cartoon beagle)": "snoopy", "yin and yang symbol": "yin_yang",
}  # fmt: skip


def folder_of(name: str) -> str:
    return RENAMED.get(name, name.replace(" ", "_"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """31 files a class, 34 of one; only a few are pictures."""
    root = tmp_path_factory.mktemp("caltech") / "caltech-101" / "101_ObjectCategories"
    for name in card_of("caltech101").classes:
        folder = root / folder_of(name)
        folder.mkdir(parents=True)
        for i in range(1, 35 if name == "ant" else 32):
            (folder / f"image_{i:04d}.jpg").touch()
    for i in range(1, 32):
        paint(root / "car_side" / f"image_{i:04d}.jpg", i)
    (root / "ant" / ".DS_Store").touch()
    return root


def words(part: LabelledSet | None) -> list[str]:
    assert part is not None
    assert part.classes is not None
    return [part.classes.names[label] for label in part.classes.of]


def test_thirty_a_class_are_learned_from_and_all_others_tested_on(root: Path) -> None:
    found = opened("caltech101", root.parents[1])
    (test,) = found.tests
    classes = card_of("caltech101").classes
    assert found.train is not None
    assert words(found.train) == [name for name in classes for _ in range(30)]
    assert words(test) == [name for name in classes for _ in range(4 if name == "ant" else 1)]
    assert not set(test.keys) & set(found.train.keys)
    assert len(test) + len(found.train) == 102 * 31 + 3
    for key, word in zip((*test.keys, *found.train.keys), (*words(test), *words(found.train)), strict=True):
        assert key.split("/")[0] == folder_of(word)
    assert {test.split, found.train.split} == {"test_all_but_30_a_class", "train_30_a_class"}
    mine = next(i for i, word in enumerate(words(test)) if word == "side of a car")
    assert number_of(test.read(mine)) == int(test.keys[mine][-8:-4])


def test_the_draw_is_of_names_and_not_always_the_last(root: Path, tmp_path: Path) -> None:
    one, other = (opened("caltech101", place) for place in (root, root.parent))
    assert one.tests[0].keys == other.tests[0].keys
    left = {int(key[-8:-4]) for key in one.tests[0].keys}
    assert len(left) > 15  # of 31 numbers, 102 draws
    ants = [key for key in one.tests[0].keys if key.startswith("ant/")]
    (root / "bass" / "image_0099.jpg").touch()
    again = opened("caltech101", root)
    assert [key for key in again.tests[0].keys if key.startswith("ant/")] == ants
    (root / "bass" / "image_0099.jpg").unlink()


def test_a_class_without_pictures_is_refused(root: Path) -> None:
    lost = root / "wrench" / "image_0007.jpg"
    lost.unlink()
    refused("caltech101", root, "wrench' has 30 pictures, wanted more than 30")
    lost.touch()
