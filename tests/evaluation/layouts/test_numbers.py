"""Class folders that are named by numbers; what each number means is written here as its publisher has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from painted import opened, paint, refused, shown

from sightword.evaluation.cards import card_of
from sightword.evaluation.layouts.classfolders import places_of

# For each way of numbering: all its numbers, and what some of them mean.
CASES = {
    # fer2013.csv's readme: (0=Angry, 1=Disgust, 2=Fear, 3=Happy, 4=Sad, 5=Surprise, 6=Neutral)
    "fer2013": (range(7), {
        0: "angry", 1: "disgusted", 2: "fearful", 3: "happy", 4: "sad", 5: "surprised", 6: "neutral",
    }),
    # ufldl.stanford.edu/housenumbers: "Digit '1' has label 1, '9' has label 9 and '0' has label 10"
    "svhn": (range(1, 11), {1: "one", 9: "nine", 10: "zero"}),
    "svhn, as TensorFlow Datasets": (range(10), {0: "zero", 1: "one", 9: "nine"}),
    "mnist": (range(1, 11), {1: "1", 9: "9", 10: "0"}),
    # ucfTrainTestlist/classInd.txt
    "ucf101_frames": (range(1, 102), {
        1: "Apply Eye Makeup", 35: "Hammering", 36: "Hammer Throw", 47: "Jumping Jack", 48: "Jump Rope",
        101: "Yo Yo",
    }),
    # cs.nyu.edu/~ylclab/data/norb-v1.0-small: azimuth 0, 2, 4, ... 34 (multiply by 10 to get degrees)
    "smallnorb_azimuth": (range(0, 36, 2), {0: "0 deg", 2: "20 deg", 10: "100 deg", 34: "340 deg"}),
    "smallnorb_azimuth, in degrees": (range(0, 360, 20), {20: "20 degrees", 100: "100 degrees"}),
    "smallnorb_azimuth, as VTAB": (range(18), {1: "20 degrees", 10: "200 degrees"}),
    "smallnorb_elevation": (range(9), {0: "30 degrees", 8: "70 degrees"}),
    "smallnorb_elevation, in degrees": (range(30, 75, 5), {30: "30 degrees", 65: "65 degrees"}),
    "gtsrb": (range(43), {
        1: "red and white circle 30 kph speed limit", 14: "stop", 42: "white circle with gray strike bar",
    }),
    "resisc45": (range(45), {0: "airplane", 10: "commercial area", 44: "wetland"}),
    "kitti_distance": (range(4), {
        0: "a photo i took of a car on my left or right side.", 1: "a photo i took with a car nearby.",
        2: "a photo i took with a car in the distance.", 3: "a photo i took with no car.",
    }),
    "clevr_counts": (range(3, 11), {3: "3", 10: "10"}),
    "clevr_counts, as VTAB": (range(8), {0: "3", 6: "9", 7: "10"}),
    "clevr_distance": (range(6), {0: "very nearby", 5: "very distant"}),
    "country211": (range(211), {0: "Andorra", 34: "DR Congo", 206: "Kosovo", 210: "Zimbabwe"}),
    "dsprites_orientation": (range(16), {1: "22.5 to 45 degrees", 10: "225 to 247.5 degrees"}),
    "dsprites_location": (range(16), {0: "0 to 6.25", 15: "93.75 to 100"}),
    "dmlab": (range(6), {0: "nearby apple/melon", 5: "very far lemon"}),
    "stl10": (range(1, 11), {1: "airplane", 3: "car", 8: "monkey", 10: "truck"}),  # class_names.txt
    "cifar10": (range(10), {0: "airplane", 5: "dog", 9: "truck"}),
    "fashion_mnist": (range(10), {0: "T-shirt/top", 5: "Sandal", 9: "Ankle boot"}),
    "cars": (range(1, 197), {1: "AM General Hummer SUV 2000", 6: "Acura Integra Type R 2001"}),
    "flowers": (range(1, 103), {2: "hard-leaved pocket orchid", 10: "globe thistle", 102: "blackberry lily"}),
    "pets": (range(1, 38), {1: "Abyssinian", 2: "american bulldog", 37: "yorkshire terrier"}),  # list.txt
    "eurosat": (range(10), {0: "annual crop land", 2: "brushland or shrubland", 9: "lake or sea"}),
    "caltech101": (range(102), {0: "accordion", 4: "background", 66: "motorbike"}),
    "sun397": (range(397), {206: "jail indoor", 207: "jail cell"}),
    "hateful_memes": (range(2), {0: "meme", 1: "hatespeech meme"}),
    "rendered_sst2": (range(2), {0: "negative", 1: "positive"}),
    "patch_camelyon": (range(2), {0: "lymph node", 1: "lymph node containing metastatic tumor tissue"}),
    "diabetic_retinopathy": (range(5), {0: "no diabetic retinopathy", 3: "severe diabetic retinopathy"}),
    "imagenet": (range(1000), {0: "tench", 7: "rooster", 999: "toilet paper"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_numbers_mean_what_they_mean_to_the_publisher(case: str) -> None:
    numbers, meanings = CASES[case]
    card = card_of(case.partition(",")[0])
    for written in (str, "{:05d}".format):
        places = places_of(card, sorted(map(written, numbers)), Path())
        assert sorted(places.values()) == list(range(len(card.classes)))
        for number, word in meanings.items():
            assert card.classes[places[written(number)]].startswith(word), number


@pytest.mark.parametrize("parts", [("train", "test"), ("",)])
def test_a_folder_of_faces_by_their_codes(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        for code in range(7):
            paint(tmp_path / part / str(code) / "a.png", code)
    found = opened("fer2013", tmp_path)
    expected = list(CASES["fer2013"][1].items())
    assert shown(found.tests[0]) == expected
    if len(parts) > 1:
        assert shown(found.train) == expected
    assert found.tests[0].wordings == card_of("fer2013").wordings


def test_a_folder_of_house_numbers(tmp_path: Path) -> None:
    for label in range(1, 11):
        paint(tmp_path / str(label) / "a.png", label)
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero")
    assert sorted(shown(opened("svhn", tmp_path).tests[0])) == list(enumerate(words, 1))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("imagenet", range(1, 1001)),  # the devkit's ILSVRC2012_ID, which is not the order of the labels
        ("imagenet_a", range(5, 205)),
        ("fer2013", range(0, 14, 2)),
        ("smallnorb_azimuth", range(0, 180, 10)),
    ],
)
def test_numbers_that_nobody_gives_are_refused(tmp_path: Path, name: str, numbers: range) -> None:
    for number in numbers:
        (tmp_path / "test" / str(number)).mkdir(parents=True)
    paint(tmp_path / "test" / str(numbers[0]) / "a.png", 1)
    refused(name, tmp_path, f"are numbered {numbers[0]} to {numbers[-1]}, which is no numbering of")
