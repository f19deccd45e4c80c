"""Middle frames: UCF101 by its lists, Kinetics-700 by its folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find
from sightword.evaluation.labelled import LabelledSet

# Hammering has the publisher's number 35 and HammerThrow 36: the other way round than folders are sorted.
TEST = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c02.avi",
    "Hammering/v_Hammering_g01_c01.avi", "HammerThrow/v_HammerThrow_g07_c03.avi",
    "HandstandPushups/v_HandStandPushups_g02_c01.avi", "YoYo/v_YoYo_g03_c01.avi",
)  # fmt: skip
TRAIN = ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1", "YoYo/v_YoYo_g25_c05.avi 101")


def ucf(root: Path, lists: str, frames: str, suffix: str = ".jpg") -> Path:
    (root / lists).mkdir(parents=True, exist_ok=True)
    (root / lists / "testlist01.txt").write_text("\r\n".join(TEST) + "\r\n")
    (root / lists / "trainlist01.txt").write_text("\n".join(TRAIN) + "\n")
    for line in (*TEST, *TRAIN):
        frame = root / frames / line.split()[0].replace(".avi", suffix)
        frame.parent.mkdir(parents=True, exist_ok=True)
        frame.write_bytes(frame.stem.encode())
    return root


def names_of(part: LabelledSet | None) -> list[str]:
    assert part is not None
    assert part.classes is not None
    for i, key in enumerate(part.keys):
        assert part.read(i) == Path(key).stem.encode()
    return [part.classes.names[i] for i in part.classes.of]


@pytest.mark.parametrize(
    ("lists", "frames", "suffix"),
    [(".", ".", ".jpg"), ("ucfTrainTestlist", "UCF-101", ".jpg"), ("ucfTrainTestlist", "frames", ".png")],
)
def test_ucf101_by_its_lists(tmp_path: Path, lists: str, frames: str, suffix: str) -> None:
    ucf(tmp_path / "ucf101", lists, frames, suffix)
    benchmark = open_benchmark(f"ucf101_frames={find(card_of('ucf101_frames'), tmp_path)}")
    (test,) = benchmark.tests
    assert names_of(test) == [
        "Apply Eye Makeup", "Apply Eye Makeup", "Hammering", "Hammer Throw", "Hand Stand Pushups", "Yo Yo",
    ]  # fmt: skip
    assert names_of(benchmark.train) == ["Apply Eye Makeup", "Yo Yo"]
    assert len(set(test.clusters)) == 5  # clips of one group are one cluster
    assert test.clusters[0] == test.clusters[1]


def test_missing_frames_and_unknown_classes(tmp_path: Path) -> None:
    root = ucf(tmp_path, ".", ".")
    (root / "YoYo" / "v_YoYo_g03_c01.jpg").unlink()
    with pytest.raises(SightwordError, match=r"1 of the 6 pictures .* first 'YoYo/v_YoYo_g03_c01.jpg'"):
        open_benchmark(f"ucf101_frames={root}")
    (root / "testlist01.txt").write_text("Sleeping/v_Sleeping_g01_c01.avi\n")
    with pytest.raises(SightwordError, match="has the class 'Sleeping'; wanted one of 101"):
        open_benchmark(f"ucf101_frames={root}")


def kinetics(root: Path, part: str, folders: dict[str, int]) -> None:
    for name, count in folders.items():
        (root / part / name).mkdir(parents=True)
        for i in range(count):
            (root / part / name / f"{name}{i}.jpg").write_bytes(f"{name}{i}".encode())


@pytest.mark.parametrize("suffix", ["", "_images"])
def test_kinetics_by_its_folders(tmp_path: Path, suffix: str) -> None:
    """Some classes only; the second spelling is that of VISSL's script, without brackets."""
    bracket = "curling (sport)" if not suffix else "curling_sport"
    person = "massaging person's head" if not suffix else "massaging_person's_head"
    kinetics(tmp_path / "kinetics700", f"val{suffix}", {"abseiling": 1, bracket: 2, "zumba": 1})
    kinetics(tmp_path / "kinetics700", f"train{suffix}", {person: 2})
    card = card_of("kinetics700_frames")
    benchmark = open_benchmark(f"kinetics700_frames={find(card, tmp_path)}")
    (test,) = benchmark.tests
    assert names_of(test) == ["abseiling", "curling (sport)", "curling (sport)", "zumba"]
    assert names_of(benchmark.train) == ["massaging person's head"] * 2
    assert (test.split, test.metric) == (card.split, "mean_acc1_acc5")
    (tmp_path / "kinetics700" / f"val{suffix}" / "sleeping in").mkdir()
    with pytest.raises(SightwordError, match="has the class 'sleeping in'; wanted one of 700"):
        open_benchmark(f"kinetics700_frames={tmp_path / 'kinetics700'}")
