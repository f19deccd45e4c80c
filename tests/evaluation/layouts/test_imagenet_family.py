"""ImageNet-1k flat and in folders, V2, -A, -R, Sketch and ObjectNet as their publishers ship them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from painted import lines, opened, paint, refused, shown
from PIL import Image
from scipy.io import savemat

from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find

# Of ImageNet's labels: 0 tench, 1 goldfish, 7 rooster, 999 toilet paper. The devkit numbers them otherwise.
DEVKIT = [
    (1, "n15075141", 0),
    (2, "n01514668", 0),
    (3, "n01440764", 0),
    (4, "n01443537", 0),
    (5, "n00001740", 4),
]
TRUTH = [4, 1, 3, 3, 2]
WORDS = ["goldfish", "toilet paper", "tench", "tench", "rooster"]


def flat(pictures: Path) -> None:
    for i in range(len(TRUTH)):
        paint(pictures / f"ILSVRC2012_val_{i + 1:08d}.JPEG", i)


def devkit(folder: Path) -> None:
    """`meta.mat` as in ILSVRC2012_devkit_t12: a column of structs, WordNet's inner nodes last."""
    kinds = [(name, "O") for name in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children")]
    rows = [(float(i), wordnet, "a, b", "a thing", float(n), np.zeros(0)) for i, wordnet, n in DEVKIT]
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "meta.mat", {"synsets": np.array([[row] for row in rows], dtype=kinds)})
    lines(folder / "ILSVRC2012_validation_ground_truth.txt", TRUTH)


def test_flat_pictures_with_the_devkit(tmp_path: Path) -> None:
    flat(tmp_path / "val")
    devkit(tmp_path / "ILSVRC2012_devkit_t12" / "data")
    for i, wordnet in enumerate(("n01514668", "n01440764")):
        paint(tmp_path / "train" / wordnet / f"{wordnet}_1{i}.JPEG", 40 + i)
    found = opened("imagenet", tmp_path)
    assert shown(found.tests[0]) == list(enumerate(WORDS))
    assert sorted(shown(found.train)) == [(40, "rooster"), (41, "tench")]
    assert found.tests[0].classes is not None
    assert found.tests[0].classes.of.tolist() == [1, 999, 0, 0, 7]
    (tmp_path / "val" / "ILSVRC2012_val_00000003.JPEG").unlink()
    refused("imagenet", tmp_path, "1 of the 5 pictures .*'ILSVRC2012_val_00000003.JPEG'")
    lines(tmp_path / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt", [1, 1001])
    refused("imagenet", tmp_path, "has a number that .*meta.mat' does not know")


def test_flat_pictures_with_the_table(tmp_path: Path) -> None:
    root = tmp_path / "ILSVRC"
    flat(root / "Data" / "CLS-LOC" / "val")
    paint(root / "Data" / "CLS-LOC" / "train" / "n01440764" / "n01440764_1.JPEG", 50)
    refused("imagenet", root, "has the pictures of val but not their classes; add the devkit")
    wordnet = {i: name for i, name, _ in DEVKIT}
    rows = [
        f"ILSVRC2012_val_{i + 1:08d},{wordnet[n]} 1 2 3 4 {wordnet[n]} 5 6 7 8 " for i, n in enumerate(TRUTH)
    ]
    lines(tmp_path / "LOC_val_solution.csv", ["ImageId,PredictionString", *reversed(rows)])
    assert find(card_of("imagenet"), tmp_path) == root
    found = opened("imagenet", root)
    assert shown(found.tests[0]) == list(enumerate(WORDS))
    assert shown(found.train) == [(50, "tench")]
    lines(tmp_path / "LOC_val_solution.csv", ["ImageId,PredictionString", *rows[1:]])
    refused("imagenet", root, "does not list ILSVRC2012_val_00000001 and on")


def test_train_without_classes_of_imagenet(tmp_path: Path) -> None:
    flat(tmp_path)
    devkit(tmp_path)
    paint(tmp_path / "train" / "cats" / "1.JPEG", 1)
    refused("imagenet", tmp_path, "has no class 'cats'")


def test_folders_of_some_wordnet_ids(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for i, wordnet in enumerate(("n15075141", "n01443537")):
            paint(tmp_path / split / wordnet / "deep" / f"{i}.JPEG", i + 20 * (split == "val"))
    (tmp_path / "val" / "n15075141" / "notes.txt").write_text("not a picture")
    found = opened("imagenet", tmp_path)
    assert shown(found.tests[0]) == [(21, "goldfish"), (20, "toilet paper")]
    assert shown(found.train) == [(1, "goldfish"), (0, "toilet paper")]
    assert found.tests[0].split == "val"


@pytest.mark.parametrize("name", ["imagenet_a", "imagenet_r", "imagenet_sketch"])
def test_the_variants_lie_in_wordnet_folders(tmp_path: Path, name: str) -> None:
    card = card_of(name)
    some = {card.ids[i]: card.classes[i] for i in (len(card.ids) - 1, 3, 0)}
    for i, wordnet in enumerate(some):
        paint(tmp_path / wordnet / f"{i}.jpg", i)
    (tmp_path / "README.txt").write_text("as shipped")
    (test,) = opened(name, tmp_path).tests
    assert sorted(shown(test)) == list(enumerate(some.values()))
    assert test.classes is not None
    assert test.classes.names == card.classes
    full = dict(zip(card_of("imagenet").ids, card_of("imagenet").classes, strict=True))
    assert all(full[wordnet] == word for wordnet, word in some.items())


def test_v2_counts_in_numbers(tmp_path: Path) -> None:
    """Its folders sort as 0, 1, 10, 100, ...; the numbers are ImageNet's labels."""
    for i in range(1000):
        (tmp_path / str(i)).mkdir()
        if i not in (7, 10, 999):
            (tmp_path / str(i) / "a.jpeg").touch()
    for i in (7, 10, 999):
        paint(tmp_path / str(i) / "b.jpeg", i % 100)
    (test,) = opened("imagenetv2", tmp_path).tests
    assert test.classes is not None
    assert test.classes.names[7] == "rooster"
    assert [int(key.split("/")[0]) for key in test.keys] == test.classes.of.tolist()
    assert len(test) == 1000
    mine = test.keys.index("10/b.jpeg")
    assert (test.classes.names[test.classes.of[mine]], test.classes.of[mine]) == ("brambling", 10)


NAMED = {"alarm_clock": "Alarm clock", "air_freshener": "Air freshener", "tv": "TV", "t-shirt": "T-shirt"}
SHARED = {
    "T-shirt": "jersey, T-shirt, tee shirt",
    "Alarm clock": "analog clock; digital clock",
    "TV": "television",
}


def objectnet(root: Path) -> Path:
    maps = root / "objectnet-1.0" / "mappings"
    maps.mkdir(parents=True)
    (maps / "folder_to_objectnet_label.json").write_text(json.dumps(NAMED))
    (maps / "objectnet_to_imagenet_1k.json").write_text(json.dumps(SHARED))
    for i, folder in enumerate(NAMED):
        where = root / "objectnet-1.0" / "images" / folder
        where.mkdir(parents=True)
        bordered = Image.new("RGB", (12, 10), (255, 0, 0))
        bordered.paste(Image.new("RGB", (10, 8), (100, 0, 8 * i)), (1, 1))
        bordered.save(where / f"{i:015x}.png")
    return root


def test_objectnet_is_its_shared_classes_without_the_border(tmp_path: Path) -> None:
    root = objectnet(tmp_path / "objectnet")
    (test,) = opened("objectnet", root).tests
    assert shown(test) == [(0, "alarm clock"), (3, "t-shirt"), (2, "tv")]  # and no air freshener
    pixels = test.read(1)
    assert isinstance(pixels, np.ndarray)
    assert pixels.shape == (8, 10, 3)
    assert np.unique(pixels.reshape(-1, 3), axis=0).tolist() == [[100, 0, 24]]
    assert test.templates == card_of("objectnet").templates
    assert opened("objectnet", root).train is None


def test_objectnet_that_is_not_whole(tmp_path: Path) -> None:
    root = objectnet(tmp_path)
    broken = next((root / "objectnet-1.0" / "images" / "tv").iterdir())
    broken.write_bytes(b"\x89PNG cut")
    (test,) = opened("objectnet", root).tests
    assert test.read(2) == b"\x89PNG cut"  # told as unreadable by whoever decodes it
    broken.unlink()
    (root / "objectnet-1.0" / "images" / "tv").rmdir()
    refused("objectnet", root, "lacks the folder 'tv'")
    maps = root / "objectnet-1.0" / "mappings"
    (maps / "objectnet_to_imagenet_1k.json").write_text(json.dumps({**SHARED, "Spoon": "wooden spoon"}))
    (root / "objectnet-1.0" / "images" / "tv").mkdir()
    refused("objectnet", root, "lacks folders for 1 classes")
