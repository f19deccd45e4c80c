"""How often a study's intervals hold the truth: `python bench/study_coverage.py [--out FILE]`.

Simulates studies of known truth (`_simulated.py`: families of curves, noise, sizes and seeds drawn at random;
every answer of every test example is drawn), analyses each as `sightword study` does, and counts for each
family and number of seeds: how often each interval held the truth, how often a crossover was given, and how
often what was said is wrong. Beside the gain's curve stands the difference of the two fitted power laws.
Equal arguments, equal counts. 500 studies of every kind take about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _simulated import ALL, ARMS, Truth, study, truth

from sightword.study.analysis.answers import ArmAnswer
from sightword.study.analysis.crossovers import crossover
from sightword.study.analysis.gain_curves import GainCurve, gain_curve
from sightword.study.analysis.gains import change, corrected, gains
from sightword.study.analysis.grids import Grid, grids, pairs
from sightword.study.analysis.laws import laws

Row = dict[str, float]
SEEDS = (2, 3, 5)
BEYOND = (2.0, 10.0)  # times the largest size
RESAMPLES = 200  # of the laws; twice as many are usual
_COLUMNS = ("gain", "gain_2x", "gain_10x", "at_crossing", "crossover", "given", "open", "none", "wrong")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=500, help="of each family and number of seeds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--families", default=";".join(ALL), help="separated by semicolons")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    kinds = [(name.strip(), seeds) for name in given.families.split(";") for seeds in SEEDS]
    print(f"{'family':<58}{'seeds':>6}" + "".join(f"{name:>12}" for name in _COLUMNS))
    with ProcessPoolExecutor(given.workers) as pool:
        jobs = [pool.submit(measure, *kind, given.studies, given.seed) for kind in kinds]
        rows = [show(job.result()) for job in jobs]
    from _results import append

    append(given.out, "study_coverage", rows, studies=given.studies, seed=given.seed, resamples=RESAMPLES)


def measure(family: str, seeds: int, studies: int, seed: int) -> dict[str, Any]:
    """Many studies of one kind: shares over them; what a study does not have does not count."""
    name = zlib.crc32(family.encode())
    rows = [one(np.random.default_rng([seed, i, seeds, name]), family, seeds) for i in range(studies)]
    return {"family": family, "seeds": seeds, "studies": studies, **shares(rows)}


def shares(rows: list[Row]) -> dict[str, float | None]:
    """The mean of every column over the rows that have it; how many have a crossover's interval."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    found: dict[str, float | None] = {}
    for name in names:
        values = [row[name] for row in rows if name in row]
        found[name] = float(np.mean(values)) if values else None
    return found | {"crossovers_judged": sum("crossover" in row for row in rows)}


def one(random: np.random.Generator, family: str, seeds: int, with_laws: bool = True) -> Row:
    """One study: 1 or 0 for what held and what was said, and how wide."""
    known = truth(random, family, seeds)
    (grid,) = grids(study(random, known), ARMS)
    row = judged(known, grid)
    return row | widths(known, grid) | judged_laws(known, grid) if with_laws else row


def judged(known: Truth, grid: Grid) -> Row:
    """Gains, curve and crossover."""
    table = pairs(grid, ARMS[1])
    curve = gain_curve(table)
    assert curve is not None
    arm = ArmAnswer(ARMS[1], ARMS[0], tuple(corrected(gains(table))), curve, crossover(curve), change(table))
    real, crossings = known.gain(known.sizes), known.crossings()
    held = [gain.gain.low <= value <= gain.gain.high for gain, value in zip(arm.gains, real, strict=True)]
    wrong = [g.shown and g.gain.value * value <= 0 for g, value in zip(arm.gains, real, strict=True)]
    row: Row = {"gain": float(np.mean(held)), "gain_smallest": held[0], "gain_largest": held[-1]}
    row |= {
        "gain_width": float(np.mean([g.gain.high - g.gain.low for g in arm.gains])),
        "wrong_sign": any(wrong),
    }
    for times in BEYOND:
        size = known.sizes[-1:] * times
        row[f"gain_{times:.0f}x"] = _inside(curve, size, float(known.gain(size)[0]))
    for at in crossings[:1]:
        row["at_crossing"] = _inside(curve, np.array([at]), 0.0)
    return row | judged_crossover(known, arm, crossings)


def widths(known: Truth, grid: Grid) -> Row:
    """How wide the predicted gains' intervals are."""
    curve = gain_curve(pairs(grid, ARMS[1]))
    assert curve is not None
    found = {times: curve.interval(float(known.sizes[-1] * times)) for times in BEYOND}
    return {f"gain_{times:.0f}x_width": interval.high - interval.low for times, interval in found.items()}


def _inside(curve: GainCurve, size: np.ndarray, value: float) -> bool:
    """Whether the curve's 95 % interval holds a value."""
    return 0.025 <= float(curve.above(size, value)[0]) <= 0.975


def judged_crossover(known: Truth, arm: ArmAnswer, crossings: list[float]) -> Row:
    """Whether the crossover's interval holds the truth; whether what was said is wrong."""
    found = arm.crossover
    row: Row = {"given": found.kind == "crosses", "open": found.kind == "undetermined"}
    row["none"] = found.kind == "none"
    holds = found.size is not None and any(found.size.low <= at <= found.size.high for at in crossings)
    if found.size is not None and crossings:
        row |= {"crossover": holds, "decades": np.log10(found.size.high / found.size.low)}
    falsely_none = found.kind == "none" and any(at >= known.sizes[0] for at in crossings)
    return row | {"false_none": falsely_none, "wrong": (found.size is not None and not holds) or falsely_none}


def judged_laws(known: Truth, grid: Grid) -> Row:
    """The first arm's band, and the gain as the difference of both laws."""
    first, second = laws(grid, RESAMPLES)
    sizes = np.array([*known.sizes, *(known.sizes[-1] * times for times in BEYOND)])
    low, high = first.band(sizes)
    error = 1 - known.accuracies[0](sizes)
    band = (low <= error) & (error <= high)
    low, high = np.quantile(first.drawn(sizes) - second.drawn(sizes), [0.025, 0.975], axis=0)
    held = (low <= known.gain(sizes)) & (known.gain(sizes) <= high)
    row: Row = {
        "band": band[:-2].mean(), "band_2x": band[-2], "band_10x": band[-1],
        "law": held[:-2].mean(), "law_2x": held[-2], "law_10x": held[-1], "law_10x_width": high[-1] - low[-1],
    }  # fmt: skip
    for at in known.crossings()[:1]:
        drawn = first.drawn(np.array([at])) - second.drawn(np.array([at]))
        low, high = np.quantile(drawn, [0.025, 0.975])
        row["law_at_crossing"] = low <= 0 <= high
    return row


def show(row: dict[str, Any]) -> dict[str, Any]:
    """The row, for people."""
    cells = (row.get(name) for name in _COLUMNS)
    told = "".join(f"{'-' if value is None else format(100 * value, '.1f'):>12}" for value in cells)
    print(f"{row['family']:<58}{row['seeds']:>6}{told}", flush=True)
    return row


if __name__ == "__main__":
    main()
