"""Where labelled data comes from: one function that looks at a place and opens what lies there.

A new layout of a published data set is one more room in `layouts/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, card_of, cards, suites
from sightword.evaluation.demo import open_demo
from sightword.evaluation.finding import Missing, find, open_published
from sightword.evaluation.imagefolder import is_imagefolder, open_imagefolder
from sightword.evaluation.labelled import Benchmark, LabelledSet, Labels
from sightword.evaluation.masks import is_masked, open_masked
from sightword.evaluation.webdatasets import is_clip_benchmark, open_clip_benchmark, open_labelled_tar

__all__ = ["Benchmark", "LabelledSet", "Labels", "open_benchmark", "places_of"]

WANTED = (
    "wanted demo, a folder of class folders, a CLIP_benchmark folder (test/0.tar), a labelled tar,"
    " or a name that `sightword evaluate --list` shows"
)


def open_benchmark(where: str) -> Benchmark:
    """The benchmark at a place: `demo`, a folder, a tar, or `NAME=PATH` for a published data set.

    Raises:
        SightwordError: when nothing known lies there, or it is broken.
    """
    if where == "demo":
        return open_demo()
    name, equals, rest = where.partition("=")
    path = Path(rest if equals and name in cards() else where).expanduser()
    if not path.exists():
        raise SightwordError(f"nothing at '{path}' to evaluate on; {WANTED}")
    if equals and name in cards():
        return open_published(card_of(name), path)
    if path.is_file():
        return open_labelled_tar(path)
    if is_clip_benchmark(path):
        return open_clip_benchmark(path)
    if is_masked(path):
        return open_masked(path)
    if is_imagefolder(path):
        return open_imagefolder(path)
    raise SightwordError(f"'{where}' is a folder without class folders or tars; {WANTED}")


def places_of(on: Sequence[str], data_root: Path) -> tuple[list[str], list[Missing]]:
    """Places for `open_benchmark`, each once; and the data sets that are missing of suites asked for.

    Args:
        on: places, names of published data sets, and names of suites (`slip`, `vtab`, ..., `all`).
        data_root: below which published data sets are looked for.

    Raises:
        SightwordError: when nothing is named, or a data set that was asked for by its own name is missing.
    """
    if not on:
        raise SightwordError("--on names nothing to score on; leave it out for the demo, or see --list")
    places, missing = list[str](), list[Missing]()
    for where in on:
        known = _named(where)
        found = [(card, find(card, data_root)) for card in known]
        places += [f"{card.name}={path}" for card, path in found if isinstance(path, Path)]
        lacking = [path for _, path in found if isinstance(path, Missing)]
        if lacking and where in cards():
            raise SightwordError(f"{lacking[0].line()}; or name the folder: {where}=PATH")
        missing += lacking
        places += [] if known else [where]
    return list(dict.fromkeys(places)), list(dict.fromkeys(missing))


def _named(where: str) -> list[Card]:
    if where == "all":
        return list(cards().values())
    return [cards()[where]] if where in cards() else suites().get(where, [])
