"""What is done for one run of a study: train, score, leave a mark, and give back the disk that it took."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.evaluation.scores import Score, read_scores
from sightword.study.sameness import check_same
from sightword.training.disk import alone_in, write_text
from sightword.training.records import code_version, file_digest, read_records

MARK = "studied.json"
WEIGHTS = "model.safetensors"
_ONLY_TO_GO_ON = ("checkpoints", "features")
_PATIENCE = 120.0  # seconds in which the process of a study that was killed saves and lets go of the run


@dataclass(frozen=True)
class Work:
    """A run of a study, from wherever it is to its end.

    places: what it is scored on, as `sightword evaluate` takes it.
    tasks: how it is scored.
    data_root: the folder below which published data sets are looked for.
    keep: True keeps checkpoints and features, which only resuming needs.
    """

    places: tuple[str, ...]
    tasks: tuple[str, ...]
    data_root: str = "."
    keep: bool = False

    def __call__(self, config: Config) -> None:
        """Begin or go on, bit for bit; nothing when the run is finished.

        Raises:
            SightwordError: it was begun with other settings, was asked to stop, or cannot be scored.
        """
        out = Path(config.out)
        check_same(config)
        out.mkdir(parents=True, exist_ok=True)
        with alone_in(out, _PATIENCE):
            pass
        if finished(out, self):
            return
        self._train(config)
        self.score(config)
        if not self.keep:
            tidy(out)

    def _train(self, config: Config) -> None:
        from sightword.training.loop import train

        out = Path(config.out)
        if not trained(out):
            train(config, go_on=True)
        if not trained(out):
            raise SightwordError(f"'{out}' was asked to stop and is saved; the same command goes on with it")

    def score(self, config: Config) -> None:
        """Score what is trained so far, and leave the mark.

        Raises:
            SightwordError: a set is broken, or the disk is full.
        """
        from sightword.evaluation.run import evaluate_all
        from sightword.training.model import load_model

        out, said = Path(config.out), list[str]()
        model = load_model(out, config.device)
        done = evaluate_all(
            model, out, self.places, self.tasks, data_root=Path(self.data_root), say=said.append
        )
        print("\n".join([*said, *done.lines()]))
        if done.failed:
            raise SightwordError(done.failure())
        self._mark(out, model.weights_hash, done.scores, said)

    def _mark(self, out: Path, weights_hash: str, scores: Sequence[Score], said: Sequence[str]) -> None:
        mark = {
            "places": self.places,
            "tasks": self.tasks,
            "weights_hash": weights_hash,
            "scored": sorted({(s.dataset, s.split, s.task) for s in scores}),
            "said": said,
            "code_version": code_version(),
            "time": round(time.time(), 3),
        }
        write_text(out / MARK, json.dumps(mark, indent=1) + "\n")


def trained(out: Path) -> bool:
    """Whether a run has done all its steps, and its weights are there."""
    ended = any(record["kind"] == "end" for record in read_records(out / "metrics.jsonl"))
    return ended and (out / WEIGHTS).is_file()


def finished(out: Path, work: Work) -> bool:
    """Whether a run has ended and is scored, with the weights it has, on everything that is asked for.

    Told from its directory alone. What a model or a set cannot do was refused once and is not asked again.

    Raises:
        SightwordError: its records are spoilt.
    """
    mark = _read(out / MARK)
    if mark is None or not trained(out):
        return False
    if not set(work.places) <= set(mark["places"]) or not set(work.tasks) <= set(mark["tasks"]):
        return False
    if mark["weights_hash"] != file_digest(out / WEIGHTS)[:16]:
        return False
    there = {(s.dataset, s.split, s.task) for s in read_scores(out) if s.weights_hash == mark["weights_hash"]}
    return {tuple(one) for one in mark["scored"]} <= there


def begun(out: Path) -> bool:
    """Whether a run has begun."""
    return (out / "config.toml").is_file()


def tidy(out: Path) -> None:
    """Delete what only an unfinished run needs."""
    for name in _ONLY_TO_GO_ON:
        shutil.rmtree(out / name, ignore_errors=True)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return dict(read) if {"places", "tasks", "weights_hash", "scored"} <= set(read) else None
    except ValueError:
        return None  # whatever it was, it is made again
