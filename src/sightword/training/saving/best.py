"""The best weights by a watched score, kept beside the newest, and an honest word about what that means.

`model-best.safetensors` are the encoders of the step whose score was best so far; `best.json` says which
score, its value there, and how many times it was looked at. Every metric that is watched is a share of what
is right: higher is better. Whoever chooses by a score has spent it: the value of the chosen one is too high,
the more so the oftener it was looked at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sightword.config import Config
from sightword.errors import SightwordError, unknown
from sightword.towers.adapters import plain
from sightword.training.disk import write_text
from sightword.training.pretrainer import Encoders
from sightword.training.records import read_records
from sightword.training.saving.checkpoint import about_encoders, write_encoders

WEIGHTS, NOTE = "model-best.safetensors", "best.json"
_KEPT = ("value", "low", "high", "n")
Score = Mapping[str, Any]  # a record of kind `score`


def check(config: Config) -> None:
    """See that there will be something to choose by.

    Raises:
        SightwordError: when nothing is watched, or the score's name cannot be one.
    """
    name = config.keep_best
    if name and not config.zeroshot_frequency:
        raise SightwordError(
            f"--keep-best {name} chooses by a score that is watched while training, and none is: add"
            " --zeroshot-frequency N, steps between two looks"
        )
    if name and name.count("/") < 2:
        raise SightwordError(
            f"--keep-best is DATASET/TASK/METRIC or DATASET/SPLIT/TASK/METRIC, found '{name}'"
        )


class Best:
    """Keeps the best weights of a run, in the process that writes.

    Args:
        out: the run's directory; what was kept there before is remembered.
        name: `DATASET/SPLIT/TASK/METRIC`; the split may be left out where there is one only.
        start: the step that the run goes on from; looks after it will be made again.
    """

    def __init__(self, out: Path, name: str, start: int) -> None:
        self._out, self._name = out, name
        self._best = _kept(out / WEIGHTS)
        records = read_records(out / "metrics.jsonl")
        seen = [r for r in records if r["kind"] == "score" and r["step"] <= start]
        self._looks = len({r["step"] for r in seen if name in _names(r)})

    def look(self, scores: Iterable[Score], encoders: Encoders, about: Mapping[str, Any]) -> bool:
        """Compare a step's scores with the best so far, and keep its weights if they are better.

        Args:
            scores: everything that was watched at this step, as it is recorded.
            encoders: the weights that were scored, whole.
            about: `step`, `samples` and `flops` behind them.

        Returns:
            whether they were better; equal ones are not.

        Raises:
            SightwordError: the score is not among them, or the disk is full.
        """
        score = _find(self._name, list(scores))
        self._looks += 1
        known = self._best if self._best.get("score") == _names(score)[0] else {}
        better = _number(score["value"]) > _number(known.get("value"))
        if better:
            known = {"score": _names(score)[0], **{key: score[key] for key in _KEPT}, **about}
            tensors = {n: t.detach().to("cpu", copy=True) for n, t in plain(encoders).items()}
            write_encoders(self._out / WEIGHTS, tensors, known)
            self._best = known
        note = {**known, "looks": self._looks, "looked_until": about["step"]}
        write_text(self._out / NOTE, json.dumps({**note, "said": _said(note)}, indent=1) + "\n")
        return better


def told(file: Path) -> str:
    """What a reader of the best weights must know; "" for other weights."""
    note = file.with_name(NOTE)
    if file.name != WEIGHTS or not note.is_file():
        return ""
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["said"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SightwordError(f"'{note}' cannot be read: {error!r}; remove it, or train again") from error


def _find(name: str, scores: Sequence[Score]) -> Score:
    names = [_names(score)[0] for score in scores]
    fitting = [score for score in scores if name in _names(score)]
    if len(fitting) > 1:
        raise SightwordError(
            f"--keep-best {name} fits {len(fitting)} scores; give one of"
            f" {', '.join(_names(score)[0] for score in fitting)}"
        )
    if not scores:
        raise SightwordError(
            f"--keep-best {name} is not watched: nothing is, of this model; leave --keep-best out"
        )
    if not fitting:
        raise unknown("score for --keep-best", name, names, f"(watched: {', '.join(sorted(names))})")
    return fitting[0]


def _names(score: Score) -> tuple[str, str]:
    """A score's full name, and the one without its split."""
    after = f"{score['task']}/{score['metric']}"
    return f"{score['dataset']}/{score['split']}/{after}", f"{score['dataset']}/{after}"


def _kept(file: Path) -> dict[str, Any]:
    """What the weights say of themselves; they and no other file decide what was best before a kill."""
    if not file.is_file():
        return {}
    try:
        with safe_open(file, "pt") as opened:
            return about_encoders(opened.metadata() or {})
    except (OSError, SafetensorError, ValueError) as error:
        raise SightwordError(f"'{file}' cannot be read: {error}; remove it to choose anew") from error


def _number(value: Any) -> float:
    """A score's value; what is none is below all."""
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number else -math.inf


def _said(note: Mapping[str, Any]) -> str:
    if "score" not in note:
        return f"no value of the score was a number in {note['looks']} looks; nothing is kept"
    return (
        f"the weights of step {note['step']}, where {note['score']} was highest,"
        f" {100 * note['value']:.1f} %, of {note['looks']} looks until step {note['looked_until']}; they were"
        " chosen by this score, so its value is optimistic: choose by a validation split, and report others"
    )
