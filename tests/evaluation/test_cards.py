"""The cards of published data sets agree with what their papers say, and are found where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark, places_of
from sightword.evaluation.cards import card_of, cards, place_in, suites
from sightword.evaluation.finding import Missing, find
from sightword.evaluation.listing import listing
from sightword.evaluation.zeroshot import prompts_of

# SLIP (2112.12750), its table of zero-shot sets: templates, classes.
SLIP = {
    "food101": (1, 101), "cifar10": (18, 10), "cifar100": (18, 100), "cub200": (1, 200), "sun397": (2, 397),
    "cars": (8, 196), "aircraft": (2, 100), "dtd": (8, 47), "pets": (1, 37), "caltech101": (34, 102),
    "flowers": (1, 102), "mnist": (1, 10), "fer2013": (6, 7), "stl10": (2, 10), "eurosat": (3, 10),
    "resisc45": (18, 45), "gtsrb": (3, 43), "kitti_distance": (1, 4), "country211": (5, 211),
    "patch_camelyon": (1, 2), "ucf101_frames": (48, 101), "kinetics700_frames": (28, 700),
    "clevr_counts": (1, 8), "hateful_memes": (1, 2), "rendered_sst2": (1, 2), "imagenet": (7, 1000),
}  # fmt: skip
PER_CLASS = {"aircraft", "pets", "caltech101", "flowers"}


def folders(root: Path, names: list[str]) -> Path:
    """An ImageFolder of one picture a class."""
    for name in names:
        (root / "test" / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8, 3), len(name), np.uint8)).save(root / "test" / name / "one.png")
    return root


def test_slips_suite_is_whole() -> None:
    found = {card.name: (len(card.templates), len(card.classes)) for card in suites()["slip"]}
    assert found == SLIP
    assert {card.name for card in suites()["slip"] if card.metric == "mean_per_class_recall"} == PER_CLASS
    assert card_of("kinetics700_frames").metric == "mean_acc1_acc5"
    assert card_of("hateful_memes").metric == "roc_auc"


def test_the_other_suites() -> None:
    assert len(suites()["vtab"]) == 19
    assert {card.name for card in suites()["imagenet"]} == {
        "imagenet", "imagenetv2", "imagenet_a", "imagenet_r", "imagenet_sketch", "objectnet",
    }  # fmt: skip
    assert len(card_of("imagenet_a").classes) == len(card_of("imagenet_r").classes) == 200
    assert place_in(card_of("imagenet"), "n01443537") == 1
    assert card_of("imagenet").classes[1] == "goldfish"
    assert card_of("imagenet_r").classes[place_in(card_of("imagenet_r"), "n01443537")] == "goldfish"


@pytest.mark.parametrize("name", sorted(cards()))
def test_every_card_says_where_its_words_come_from(name: str) -> None:
    card = card_of(name)
    assert card.words["source"]
    assert card.words["licence"]
    assert card.source.startswith("http")
    assert card.get
    assert card.places[0] == name
    twice = {"missile", "sunglasses"} if len(card.classes) == 1000 else set()  # as CLIP names ImageNet's
    assert {name for name in card.classes if card.classes.count(name) > 1} == twice
    assert all(template.count("{}") == 1 for template in card.templates)
    assert card.task != "classification" or card.templates


def test_a_set_is_found_and_counted_as_its_card_counts(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(10)]
    folders(tmp_path / "EuroSAT", names)
    card = card_of("eurosat")
    assert find(card, tmp_path) == tmp_path / "EuroSAT"
    (where,), missing = places_of(["eurosat"], tmp_path)
    assert missing == []
    (test,) = open_benchmark(where).tests
    assert test.name == "eurosat"
    assert test.classes is not None
    assert test.classes.names == card.classes
    assert test.classes.of.tolist() == list(range(10))
    assert test.templates == card.templates


def test_wordnet_folders_and_numbers_count_as_imagenet_does(tmp_path: Path) -> None:
    folders(tmp_path / "a", ["n01443537", "n01440764", "n15075141"])
    (test,) = open_benchmark(f"imagenet={tmp_path / 'a'}").tests
    assert test.classes is not None
    assert test.classes.of.tolist() == [0, 1, 999]  # in the sorted order of the folders
    folders(tmp_path / "b", [str(i) for i in range(10)])
    folders(tmp_path / "c", [str(i) for i in range(1, 10)])
    (test,) = open_benchmark(f"mnist={tmp_path / 'b'}").tests
    assert test.classes is not None
    assert [test.classes.names[i] for i in test.classes.of] == [key.split("/")[0] for key in test.keys]
    (test,) = open_benchmark(f"mnist={tmp_path / 'c'}").tests  # named as the classes are: one may be missing
    assert test.classes is not None
    assert [test.classes.names[i] for i in test.classes.of] == [key.split("/")[0] for key in test.keys]
    folders(tmp_path / "d", [f"thing {i}" for i in range(9)])
    with pytest.raises(SightwordError, match="has 9 class folders, MNIST has 10 classes"):
        open_benchmark(f"mnist={tmp_path / 'd'}")
    folders(tmp_path / "e", [str(i) for i in range(1, 103)])  # 1, 10, 100, ...: by number, not in this order
    (test,) = open_benchmark(f"flowers={tmp_path / 'e'}").tests
    assert test.classes is not None
    assert {key.split("/")[0]: int(of) for key, of in zip(test.keys, test.classes.of, strict=True)} == {
        str(i + 1): i for i in range(102)
    }


def test_several_words_for_a_class(tmp_path: Path) -> None:
    folders(tmp_path / "fer2013", [f"{i}" for i in range(7)])
    (test,) = open_benchmark(f"fer2013={tmp_path / 'fer2013'}").tests
    prompts = prompts_of(test)
    assert len(prompts) == 7
    words = card_of("fer2013").wordings
    assert words[3] == ("happy", "smiling")
    assert [len(mine) for mine in prompts] == [6 * len(mine) for mine in words]
    assert sum("smiling" in prompt for prompt in prompts[3]) == 6


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    folders(tmp_path / "mnist", [str(i) for i in range(10)])
    places, missing = places_of(["slip", "demo"], tmp_path)
    assert places == [f"mnist={tmp_path / 'mnist'}", "demo"]
    assert len(missing) == 25
    assert "looked in" in missing[0].line()
    assert isinstance(find(card_of("food101"), tmp_path), Missing)
    with pytest.raises(SightwordError, match=r"missing: food101 \(Food-101\); looked in .*; get it: "):
        places_of(["food101"], tmp_path)
    lines = listing(tmp_path)
    assert len(lines) == len(cards()) + 1
    assert sum("missing below" in line for line in lines) == len(cards()) - 1
