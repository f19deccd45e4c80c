"""Scores as CLIP_benchmark writes them, so that its `build` makes one table of its results and these."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightword.evaluation.cards import cards
from sightword.evaluation.scores import Score
from sightword.evaluation.webdatasets import is_clip_benchmark
from sightword.pairs.files import write_whole

FOLDER = "clip_benchmark"
TASKS = {
    "zeroshot": "zeroshot_classification",
    "retrieval": "zeroshot_retrieval",
    "linear": "linear_probe",
}
_WEBDATASET = "wds_"  # how its published folders begin; a slash in a name is a hyphen there


def rows(scores: Iterable[Score]) -> list[dict[str, Any]]:
    """Latest scores in the shape of CLIP_benchmark's result files, one row for each task and split.

    Its `build` reads `metrics`, `model` and `pretrained`, and makes a column of every other field.
    """
    found: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        found.setdefault((score.dataset, score.split, score.task), []).append(score)
    several = _several_splits(found)
    return [_row(some, dataset in several) for (dataset, _, _), some in found.items()]


def write(run: Path, scores: Sequence[Score]) -> None:
    """Write `results.json`, all rows as a list, and `clip_benchmark/`, a file for each data set and task."""
    made = rows(scores)
    _write(run / "results.json", made)
    for row in made:
        name = "_".join(str(row[part]).replace("/", "_") for part in ("dataset", "task"))
        _write(run / FOLDER / f"{name}.json", row)


def name_of(dataset: str, place: str = "") -> str:
    """What CLIP_benchmark calls a data set: `vtab/cifar100`, and `wds/vtab/cifar100` in its own layout.

    Args:
        dataset: our name for it.
        place: where it lay, as `Score.place` says it.
    """
    card = cards().get(dataset)
    folders = [one for one in (card.places if card else ()) if one.startswith(_WEBDATASET)]
    name = folders[-1].removeprefix(_WEBDATASET).replace("vtab-", "vtab/") if folders else dataset
    webdataset = bool(place) and path_of(place).is_dir() and is_clip_benchmark(path_of(place))
    return f"wds/{name}" if webdataset else name


def path_of(place: str) -> Path:
    """The folder or file that a place of `--on` names, whether as PATH or as NAME=PATH."""
    name, equals, rest = place.partition("=")
    return Path(rest if equals and name in cards() else place).expanduser()


def _row(some: Sequence[Score], several: bool) -> dict[str, Any]:
    latest = some[-1]
    name = name_of(latest.dataset, latest.place)
    return {
        "dataset": f"{name}/{latest.split}" if several else name,
        "model": latest.run,
        "pretrained": latest.weights_hash,
        "task": TASKS.get(latest.task, latest.task),
        "metrics": {s.metric: s.value for s in some if s.weights_hash == latest.weights_hash},
        "language": "en",
    }


def _several_splits(found: Mapping[tuple[str, str, str], object]) -> set[str]:
    """Data sets of which more than one split was scored: CLIP_benchmark has no place for a split's name."""
    splits = {(dataset, split) for dataset, split, _ in found}
    names = [dataset for dataset, _ in splits]
    return {name for name in names if names.count(name) > 1}


def _write(path: Path, what: object) -> None:
    text = json.dumps(what, indent=1)
    write_whole(path, lambda file: file.write(text.encode()))
