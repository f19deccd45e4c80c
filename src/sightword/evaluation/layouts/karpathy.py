"""COCO and Flickr30k in the splits of Karpathy and Fei-Fei (2015), on which retrieval is reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout, read_file
from sightword.evaluation.layouts.listed import first_that, home_of, json_of, must_exist

LISTS = (".", "annotations", "karpathy", "caption_datasets")
PICTURES = {
    "coco": (".", "images"),
    "flickr30k": ("flickr30k-images", "flickr30k_images", "images", "Images", "."),
}
READ = ("images", "split", "filepath", "filename", "sentences", "raw")
OWN = "annotations/captions_val2014.json"  # COCO's own validation part: 40,504 pictures


def caption_set(
    card: Card, split: str, root: Path, captions: Mapping[str, Sequence[str]], source: Path
) -> LabelledSet:
    """A split of pictures with any number of captions each.

    Args:
        card: whose.
        split: its name.
        root: the folder that the pictures are below.
        captions: of each picture, by its path, which is its key as well.
        source: where they are listed, for errors.

    Raises:
        SightwordError: when pictures are missing, or have no caption.
    """
    pictures = list(captions)
    bare = [picture for picture in pictures if not captions[picture]]
    if bare:
        raise SightwordError(
            f"{card.title}: '{source}' has no caption for '{bare[0]}' and {len(bare) - 1} others"
        )
    must_exist(card, root, pictures, source)
    return LabelledSet(
        name=card.name,
        split=split,
        keys=tuple(pictures),
        read=read_file(root, pictures),
        captions=tuple(tuple(captions[picture]) for picture in pictures),
        metric=card.metric,
    )


@final
class Karpathy(Layout):
    """`dataset_coco.json` or `dataset_flickr30k.json`: for each picture its split and sentences.

    COCO: 5,000 pictures to test on with 25,010 captions, 5,000 to validate, 113,287 to learn from (train and
    restval), in `train2014/` and `val2014/`. Flickr30k: 1,000, 1,014 and 29,000, in one folder. Captions are
    the raw sentences, stripped; all of a picture's count, five of nearly every one. Parts other than test
    are left out where their folder of pictures is not there.
    """

    cards = ("coco", "flickr30k")

    def lies_in(self, root: Path) -> bool:
        return any(home_of(root, LISTS, f"dataset_{name}.json") for name in self.cards)

    def open(self, root: Path, card: Card) -> Benchmark:
        name = f"dataset_{card.name}.json"
        source = first_that(card, (root / place / name for place in LISTS))
        listed = _listed(card, source)
        home = _home(card, root, listed["test"])
        test = caption_set(card, "test", home, listed["test"], source)
        train, validation = (
            caption_set(card, split, home, listed[split], source)
            if _folders_there(home, listed[split])
            else None
            for split in ("train", "val")
        )
        return Benchmark(card.name, (test,), train, validation)


@final
class OwnSplits(Layout):
    """COCO's own captions without Karpathy's list: not the split that papers report, and refused."""

    cards = ("coco",)

    def lies_in(self, root: Path) -> bool:
        return (root / OWN).is_file() or (root / Path(OWN).name).is_file()

    def open(self, root: Path, card: Card) -> Benchmark:
        raise SightwordError(
            f"'{root}' holds COCO's own captions, of which {card.title} is 5,000 pictures; add"
            " dataset_coco.json (Karpathy and Fei-Fei, 2015: caption_datasets.zip), which says which"
        )


def _listed(card: Card, source: Path) -> dict[str, dict[str, list[str]]]:
    """For each split the captions of its pictures by their paths."""
    found: dict[str, dict[str, list[str]]] = {"train": {}, "val": {}, "test": {}}
    try:
        for image in json_of(card, source, READ)["images"]:
            split = "train" if image["split"] == "restval" else image["split"]
            found[split][_path(image)] = [str(sentence["raw"]).strip() for sentence in image["sentences"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise SightwordError(
            f"{card.title}: '{source}' is not Karpathy's list ({error!r} is wrong)"
        ) from error
    if not found["test"]:
        raise SightwordError(f"{card.title}: '{source}' has no picture whose split is test")
    return found


def _path(image: Mapping[str, Any]) -> str:
    return "/".join(part for part in (image.get("filepath", ""), image["filename"]) if part)


def _home(card: Card, root: Path, test: Iterable[str]) -> Path:
    """The folder that the pictures' paths lead on from, going by the first of them."""
    first = next(iter(test))
    places = [root / place for place in PICTURES[card.name]]
    sure = next((place for place in places if (place / first).is_file()), None)
    likely = next((place for place in places if (place / first).parent.is_dir()), places[0])
    return sure or likely


def _folders_there(home: Path, pictures: Iterable[str]) -> bool:
    folders = {Path(picture).parent for picture in pictures}
    return bool(folders) and all((home / folder).is_dir() for folder in folders)
