"""The study's numbers as tables (CSV, Parquet) and as records (JSON lines), for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sightword.statistics import Interval
from sightword.study.analysis.answers import Answer, ArmAnswer
from sightword.study.analysis.gains import Gain
from sightword.study.analysis.laws import Law
from sightword.study.analysis.points import Point, Question
from sightword.study.analysis.verdicts import Verdict
from sightword.study.findings import ArmCost, Conduct, Findings, Overlap, RunState
from sightword.study.page.gain_figures import band_of
from sightword.study.page.luck_figures import share_of_seeds

Row = dict[str, Any]
_ASKED = "budget model dataset task metric "
_COLUMNS = {  # also of a table without rows
    "gains": (
        _ASKED + "main objective baseline size gain gain_low gain_high error df examples_error "
        "seeds_error seeds_share seeds p p_holm shown"
    ),
    "points": ("objective size seed budget model dataset task metric value n headline error"),
    "laws": (_ASKED + "objective middle a a_low a_high b b_low b_high c c_low c_high"),
    "crossovers": (
        _ASKED + "objective baseline crossing sign size size_low size_high shown_from shown_to "
        "asked_from asked_to change_per_decade change_per_decade_low change_per_decade_high"
    ),
    "curves": (_ASKED + "objective size extrapolated gain gain_low gain_high"),
}


def write_tables(findings: Findings, out: Path) -> None:
    """Write gains, points (CSV and Parquet), laws, curves and crossovers (CSV) and findings.jsonl."""
    asked = [(answer, arm) for answer in findings.answers for arm in answer.arms]
    gains = [_gain(answer, gain) for answer, arm in asked for gain in arm.gains]
    points = [_point(point) for point in findings.points]
    laws = [_law(answer.question, law) for answer in findings.answers for law in answer.laws]
    crossovers = [_crossover(answer, arm) for answer, arm in asked if arm.crossover]
    curves = [row for answer, arm in asked if answer.main for row in _curve(answer, arm)]
    for name, rows in (("gains", gains), ("points", points)):
        _parquet(out / f"{name}.parquet", rows)
    tables = {"gains": gains, "points": points, "laws": laws, "crossovers": crossovers, "curves": curves}
    for name, rows in tables.items():
        _csv(out / f"{name}.csv", rows)
    kinds = {"gain": gains, "law": laws, "crossover": crossovers}
    records = [_study(findings), *_conduct(findings.conduct), *(_verdict(one) for one in findings.verdicts)]
    records += [{"kind": kind, **row} for kind, rows in kinds.items() for row in rows]
    _text(out / "findings.jsonl", "".join(f"{json.dumps(_plain(one), allow_nan=False)}\n" for one in records))


def _study(findings: Findings) -> Row:
    study = findings.study
    sets = list(dict.fromkeys(point.dataset for point in findings.points))
    return {
        "kind": "study",
        "arms": [arm.name for arm in study.arms],
        "objectives": [arm.label for arm in study.arms],
        **{name: list(getattr(study, name)) for name in ("models", "sizes", "seeds", "budgets", "lrs")},
        "epochs": study.epochs,
        "held_out": study.held_out,
        "datasets": sets,
        "asked_size": findings.size,
    }


def _conduct(of: Conduct) -> list[Row]:
    return [
        *(_run(run) for run in of.runs),
        *(_cost(cost, of.costs) for cost in of.costs),
        *(_overlap(one) for one in of.overlaps),
    ]


def _run(run: RunState) -> Row:
    cell = run.cell
    where = {name: getattr(cell, name) for name in ("budget", "model", "size", "seed")}
    told = {name: value for name, value in vars(run).items() if name != "cell"}
    return {"kind": "run", "objective": cell.arm.name, **where, **told, "folder": cell.folder}


def _cost(cost: ArmCost, costs: Sequence[ArmCost]) -> Row:
    base = next(one.sample_flops for one in costs if one.model == cost.model)
    return {"kind": "cost", **asdict(cost), "ratio": cost.sample_flops / base}


def _overlap(one: Overlap) -> Row:
    return {"kind": "overlap", **asdict(one)}


def _gain(answer: Answer, gain: Gain) -> Row:
    return {
        **asdict(answer.question),
        "main": answer.main,
        "objective": gain.objective,
        "baseline": gain.baseline,
        "size": gain.size,
        **_ends("gain", gain.gain),
        "error": gain.error,
        "df": gain.df,
        "examples_error": gain.examples_error,
        "seeds_error": gain.seeds_error,
        "seeds_share": share_of_seeds(gain),
        "seeds": gain.seeds,
        "p": gain.p if gain.seeds > 1 else None,
        "p_holm": gain.adjusted,
        "shown": gain.shown,
    }


def _point(point: Point) -> Row:
    about = (
        "objective",
        "size",
        "seed",
        "budget",
        "model",
        "dataset",
        "task",
        "metric",
        "value",
        "n",
        "headline",
    )
    return {name: getattr(point, name) for name in about} | {"error": point.standard_error}


def _law(asked: Question, law: Law) -> Row:
    ends = np.quantile(law.samples, [0.025, 0.975], axis=0)
    found: Row = {**asdict(asked), "objective": law.objective, "middle": law.middle}
    for i, name in enumerate("abc"):
        found |= {
            name: getattr(law, name),
            f"{name}_low": float(ends[0, i]),
            f"{name}_high": float(ends[1, i]),
        }
    return found


def _crossover(answer: Answer, arm: ArmAnswer) -> Row:
    found, change = arm.crossover, arm.change
    assert found is not None
    return {
        **asdict(answer.question),
        "objective": arm.objective,
        "baseline": arm.baseline,
        "crossing": found.kind,
        "sign": found.sign,
        **_ends("size", found.size),
        "shown_from": found.shown[0] if found.shown else None,
        "shown_to": found.shown[1] if found.shown else None,
        "asked_from": found.reach[0],
        "asked_to": found.reach[1],
        **_ends("change_per_decade", change.per_decade if change else None),
    }


def _curve(answer: Answer, arm: ArmAnswer) -> Iterable[Row]:
    """The band as the page draws it, of the tasks' main questions."""
    found = band_of(arm)
    if found is None or arm.curve is None:
        return
    for x, low, middle, high in found.T.tolist():
        run = bool(arm.curve.sizes[0] <= x <= arm.curve.sizes[-1])
        row: Row = {**asdict(answer.question), "objective": arm.objective, "size": x, "extrapolated": not run}
        yield row | {"gain": middle, "gain_low": low, "gain_high": high}


def _verdict(one: Verdict) -> Row:
    number = one.measured.gain if one.measured else one.predicted
    return {
        "kind": "verdict",
        **asdict(one.question),
        "objective": one.objective,
        "baseline": one.baseline,
        "size": one.size,
        "pays": one.pays,
        "measured": one.measured is not None,
        **_ends("gain", number),
        "sizes": list(one.sizes),
        "seeds": one.seeds,
        "datasets": list(one.datasets),
        "paired": one.paired,
        "said": one.sentences(),
    }


def _ends(name: str, number: Interval | None) -> Row:
    known = (number.value, number.low, number.high) if number else (None, None, None)
    return dict(zip((name, f"{name}_low", f"{name}_high"), known, strict=True))


def _plain(value: object) -> object:
    """What JSON can hold: numbers that are none (NaN) become null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _csv(file: Path, rows: Sequence[Row]) -> None:
    written = io.StringIO(newline="")
    table = csv.DictWriter(written, _COLUMNS[file.stem].split(), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    _text(file, written.getvalue())


def _parquet(file: Path, rows: Sequence[Row]) -> None:
    aside = file.with_name(f"{file.name}.part")
    pq.write_table(pa.Table.from_pylist(list(rows)), aside)
    os.replace(aside, file)


def _text(file: Path, text: str) -> None:
    aside = file.with_name(f"{file.name}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)
