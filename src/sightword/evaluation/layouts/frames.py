"""Middle frames of videos: UCF101 by its lists, Kinetics-700 by its folders."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, card_of
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import (
    files_in,
    first_that,
    home_of,
    lines_of,
    listed,
    pictures_in,
)

LISTS = ("ucfTrainTestlist", "splits")
TEST_LIST, TRAIN_LIST = "testlist01.txt", "trainlist01.txt"


@final
class UcfFrames(Layout):
    """`ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.jpg` below the root, `UCF-101/` or `frames/`, with the
    publisher's `testlist01.txt` and `trainlist01.txt` (beside them or in `ucfTrainTestlist/`).

    Source: Soomro et al. 2012 (1212.0402), split 1; one frame a video as CLIP (2103.00020, appendix A.1).
    Clips of one group (`g01`) show the same scene, so they are one cluster. Labels go by name: the
    publisher's numbers (`classInd.txt`) are in another order than the class folders.
    """

    cards = ("ucf101_frames",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, LISTS, TEST_LIST) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        lists = home_of(root, LISTS, TEST_LIST)
        assert lists is not None
        first = card.classes[0].replace(" ", "")
        frames = first_that(card, (root / below / first for below in (".", "UCF-101", "frames"))).parent
        train = lists / TRAIN_LIST
        return Benchmark(
            card.name,
            (_listed(frames, card, "test01", lists / TEST_LIST),),
            _listed(frames, card, "train01", train) if train.is_file() else None,
        )


def _listed(frames: Path, card: Card, split: str, source: Path) -> LabelledSet:
    videos = [line.split()[0].rpartition(".")[0] for line in lines_of(card, source)]
    folders = dict.fromkeys(video.partition("/")[0] for video in videos)
    files = {
        f"{name}/{Path(file).stem}": f"{name}/{file}"
        for name in folders
        for file in pictures_in(frames / name)
    }
    pictures = [files.get(video, f"{video}.jpg") for video in videos]
    labels = [_place(card, video.partition("/")[0], source) for video in videos]
    found = listed(card, split, frames, pictures, labels, source)
    return replace(found, clusters=tuple(video.rpartition("_")[0] for video in videos))


@final
class KineticsFrames(Layout):
    """`val/abseiling/VIDEO.jpg` and `train/...`, or `val_images/` and `train_images/` as VISSL's script, and
    so SLIP, names them; class folders are named as the publisher does, or with `_` and without brackets.

    Source: https://github.com/cvdfoundation/kinetics-dataset. Scored on the validation part, as SLIP is: the
    test part's labels are not public. Videos that are gone are gone: n says how many there are.
    """

    cards = ("kinetics700_frames",)

    def lies_in(self, root: Path) -> bool:
        return _kinetics(root, "val") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        val, train = _kinetics(root, "val"), _kinetics(root, "train")
        assert val is not None
        learned = None if train is None else _folders(train, card, "train")
        return Benchmark(card.name, (_folders(val, card, "val"),), learned)


def _kinetics(root: Path, part: str) -> Path | None:
    """The folder of a part, if one of its folders is named as a class."""
    known = _places(card_of("kinetics700_frames"))
    folders = (root / name for name in (part, f"{part}_images"))
    return next((at for at in folders if any(_plain(name) in known for name in files_in(at))), None)


def _folders(root: Path, card: Card, split: str) -> LabelledSet:
    folders = sorted(name for name in files_in(root) if (root / name).is_dir() and not name.startswith("."))
    places = {name: _place(card, name, root) for name in folders}
    files = [(name, file) for name in folders for file in pictures_in(root / name)]
    pictures = [f"{name}/{file}" for name, file in files]
    return listed(card, split, root, pictures, [places[name] for name, _ in files], root)


def _place(card: Card, name: str, source: Path) -> int:
    places = _places(card)
    if _plain(name) not in places:
        raise SightwordError(f"{card.title}: '{source}' has the class '{name}'; wanted one of {len(places)}")
    return places[_plain(name)]


def _places(card: Card) -> dict[str, int]:
    return {_plain(name): place for place, name in enumerate(card.classes)}


def _plain(name: str) -> str:
    """A class name as it is compared: letters and digits alone, all small."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
