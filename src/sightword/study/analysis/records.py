"""Every number of an analysis as a line of JSON: what a page draws and a command reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from sightword.statistics import Interval
from sightword.study.analysis.answers import Answer, ArmAnswer
from sightword.study.analysis.gains import Gain
from sightword.study.analysis.verdicts import Verdict

Record = dict[str, Any]


def records(answers: Iterable[Answer]) -> Iterator[Record]:
    """A record for each gain, change, crossover and law; `kind` says which."""
    for answer in answers:
        asked = {**asdict(answer.question), "main": answer.main, "paired": answer.grid.paired}
        for arm in answer.arms:
            yield from _arm({**asked, "objective": arm.objective, "baseline": arm.baseline}, arm)
        for law in answer.laws:
            sizes = answer.grid.sizes
            places = np.array(sizes, dtype=float)
            low, high = law.band(places)
            fitted = {"objective": law.objective, "a": law.a, "b": law.b, "c": law.c, "middle": law.middle}
            at = {"sizes": list(sizes), "error": law.error(places).tolist()}
            yield {"kind": "law", **asked, **fitted, **at, "low": low.tolist(), "high": high.tolist()}


def verdict_record(one: Verdict) -> Record:
    """A verdict: what pays at the size, and its sentences."""
    number = one.measured.gain if one.measured else one.predicted
    return {
        "kind": "verdict",
        **asdict(one.question),
        "objective": one.objective,
        "baseline": one.baseline,
        "size": one.size,
        "measured": one.measured is not None,
        "pays": one.pays,
        "seeds": one.seeds,
        **_ends("gain", number),
        "sentences": one.sentences(),
    }


def _arm(facts: Record, arm: ArmAnswer) -> Iterator[Record]:
    for gain in arm.gains:
        yield {"kind": "gain", **facts, **_gain(gain)}
    if arm.change is not None:
        yield {"kind": "change", **facts, **_ends("per_decade", arm.change.per_decade)}
    if arm.crossover is not None:
        found = arm.crossover
        told = {"answer": found.kind, "sign": found.sign, "shown": found.shown, "reach": found.reach}
        yield {"kind": "crossover", **facts, **told, **_ends("size", found.size)}


def _gain(gain: Gain) -> Record:
    """Its fields, the interval's ends beside them."""
    numbers = {name: value for name, value in vars(gain).items() if not isinstance(value, Interval)}
    return {**numbers, **_ends("gain", gain.gain), "shown": gain.shown}


def _ends(name: str, interval: Interval | None) -> Record:
    if interval is None:
        return {name: None, "low": None, "high": None}
    return {name: interval.value, "low": interval.low, "high": interval.high}
