"""FER2013's two spellings of one csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find

FACES = np.random.default_rng(6).integers(0, 256, (9, 48, 48)).astype(np.uint8)
# The publisher's readme: 0=Angry, 1=Disgust, 2=Fear, 3=Happy, 4=Sad, 5=Surprise, 6=Neutral.
EMOTIONS = (0, 1, 2, 3, 4, 5, 6, 6, 3)
NAMES = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
USAGES = ("PrivateTest",) * 7 + ("Training", "PublicTest")


def line(i: int, spelling: str) -> str:
    pixels = " ".join(str(value) for value in FACES[i].ravel())
    order = (EMOTIONS[i], pixels, USAGES[i]) if spelling == "fer2013" else (EMOTIONS[i], USAGES[i], pixels)
    return ",".join(map(str, order))


def text(spelling: str = "fer2013", end: str = "\n") -> str:
    header = "emotion,pixels,Usage" if spelling == "fer2013" else "emotion, Usage, pixels"
    return end.join([header, *(line(i, spelling) for i in range(9))]) + end


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("spelling", "below"),
    [
        ("fer2013", "fer2013/fer2013.csv"),
        ("fer2013", "fer2013.csv"),
        ("fer2013", "fer2013/fer2013/fer2013.csv"),
        ("icml", "fer2013/icml_face_data.csv"),
        ("icml", "icml_face_data.csv"),
    ],
)
def test_faces_and_emotions(tmp_path: Path, spelling: str, below: str, end: str) -> None:
    (tmp_path / below).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / below).write_text(text(spelling, end), newline="")
    benchmark = open_benchmark(f"fer2013={find(card_of('fer2013'), tmp_path)}")
    (test,) = benchmark.tests
    assert benchmark.train is not None
    assert benchmark.validation is not None
    assert (test.split, benchmark.validation.split) == ("test", "validation")
    for part, rows in ((test, range(7)), (benchmark.train, (7,)), (benchmark.validation, (8,))):
        assert part.classes is not None
        assert part.classes.names == card_of("fer2013").classes
        assert [part.classes.names[i] for i in part.classes.of] == [NAMES[EMOTIONS[row]] for row in rows]
        for i, row in enumerate(rows):
            assert np.array_equal(part.read(i), np.stack([FACES[row]] * 3, axis=2))
    assert test.wordings == card_of("fer2013").wordings


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("emotion,pixels", "label,pixels", "begins with the columns label, pixels, usage"),
        ("PublicTest", "Public", "says Usage 'Public' in line 10"),
        ("\n6,", "\n7,", "says emotion '7' in line 8"),
        ("\n6,", "\n6,1 ", "has 2,305 pixels in line 8"),
        (",PublicTest\n", "", "has 2 fields in line 10"),
        ("PrivateTest", "Training", "has no line of PrivateTest"),
    ],
)
def test_broken_lines(tmp_path: Path, old: str, new: str, says: str) -> None:
    (tmp_path / "fer2013.csv").write_text(text().replace(old, new))
    with pytest.raises(SightwordError, match=says):
        open_benchmark(f"fer2013={tmp_path / 'fer2013.csv'}")


@pytest.mark.parametrize(("pixel", "says"), [("256", "outside of 0 to 255"), ("x", "no numbers")])
def test_broken_pixels_are_told_when_they_are_read(tmp_path: Path, pixel: str, says: str) -> None:
    first = str(FACES[0, 0, 0])
    (tmp_path / "fer2013.csv").write_text(text().replace(f"\n0,{first} ", f"\n0,{pixel} "))
    (test,) = open_benchmark(f"fer2013={tmp_path}").tests
    with pytest.raises(SightwordError, match=f"{says} in line 2"):
        test.read(0)
    assert isinstance(test.read(1), np.ndarray)
