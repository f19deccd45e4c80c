"""A whole run: train, then score what the configuration says should be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightword.config import Config, load
from sightword.pairs.sources import open_pairs
from sightword.training.data import own_pairs
from sightword.training.loop import resume_training, train
from sightword.training.model import Model, load_model
from sightword.training.records import read_records
from sightword.training.showing import save_pictures
from sightword.training.together.ranks import leads

if TYPE_CHECKING:  # evaluation brings scikit-learn along, two seconds that a run pays when it scores
    from sightword.evaluation.scores import Score


def train_and_score(config: Config, go_on: bool = False) -> list[Score]:
    """A new run to its end, or with `go_on` the rest of one that has begun."""
    return score(train(config, _watch, go_on=go_on))


def resume_and_score(out: Path) -> list[Score]:
    """The rest of a run."""
    return score(resume_training(out, _watch))


def go_on(config: Config) -> None:
    """Begin the run, or go on with it where it stopped; nothing when it is finished and scored."""
    train_and_score(config, go_on=True)


def score(out: Path) -> list[Score]:
    """Score a finished run on `evaluate_on`, in one process; an unfinished one is left alone.

    `auto` is the demo's held-out splits for a run on the demo, and nothing for others: nobody but the user
    knows what their pairs should be tested on.
    """
    from sightword.evaluation.run import evaluate
    from sightword.evaluation.scores import FILE

    config = load(out)
    if not leads() or not _finished(out):
        return []
    places = {"auto": ["demo"] if config.data.path == "demo" else []}.get(
        config.evaluate_on, [place for place in config.evaluate_on.split(",") if place]
    )
    (out / FILE).touch()
    on_demo = config.data.path == "demo"
    save_pictures(out, open_pairs("demo", "test_artist") if on_demo else own_pairs(config))
    return evaluate(load_model(out), out, places) if places else []


def _watch(model: Model) -> Sequence[Mapping[str, Any]]:
    from sightword.evaluation.watch import zeroshot

    return zeroshot(model, [place for place in model.config.watch_on.split(",") if place])


def _finished(out: Path) -> bool:
    return any(record["kind"] == "end" for record in read_records(out / "metrics.jsonl"))
