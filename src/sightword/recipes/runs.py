"""A whole run: train, then score what the configuration says should be scored."""

from __future__ import annotations

from pathlib import Path

from sightword.config import Config, load
from sightword.evaluation.run import evaluate
from sightword.evaluation.scores import FILE, Score
from sightword.evaluation.watch import zeroshot
from sightword.pairs.sources import open_pairs
from sightword.training.checkpoint import newest
from sightword.training.loop import resume_training, train
from sightword.training.model import load_model
from sightword.training.records import read_records
from sightword.training.showing import save_pictures


def train_and_score(config: Config) -> list[Score]:
    """A new run to its end."""
    return score(train(config, zeroshot))


def resume_and_score(out: Path) -> list[Score]:
    """The rest of a run."""
    return score(resume_training(out, zeroshot))


def go_on(config: Config) -> None:
    """Begin the run, or go on with it where it stopped; nothing when it is finished and scored."""
    out = Path(config.out)
    if (out / "config.toml").exists():
        resume_and_score(out)
    else:
        train_and_score(config)


def score(out: Path) -> list[Score]:
    """Score a finished run on `evaluate_on`; an unfinished one is left alone.

    `auto` is the demo's held-out splits for a run on the demo, and nothing for others: nobody but the user
    knows what their pairs should be tested on.
    """
    config = load(out)
    if not _finished(out):
        return []
    places = {"auto": ["demo"] if config.data.path == "demo" else []}.get(
        config.evaluate_on, [place for place in config.evaluate_on.split(",") if place]
    )
    (out / FILE).touch()
    held_out = (
        open_pairs("demo", "test_artist") if config.data.path == "demo" else open_pairs(config.data.path)
    )
    save_pictures(out, held_out)
    return evaluate(load_model(out), out, places) if places else []


def _finished(out: Path) -> bool:
    saved, _ = newest(out)
    totals = [r["steps_total"] for r in read_records(out / "metrics.jsonl") if r["kind"] == "start"]
    return saved is not None and saved.step in totals
