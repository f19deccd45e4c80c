"""How a study was carried out, by the runs' own records: what is finished, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightword.config import Config
from sightword.corpora.checking.copies import Copies
from sightword.evaluation.benchmarks import open_benchmark
from sightword.study.design import Study
from sightword.study.findings import ArmCost, Conduct, Overlap, RunState
from sightword.study.grid import Cell, Rates, cells, flops_of, run_of
from sightword.study.rates import Tried
from sightword.study.work import Work, begun, finished
from sightword.training.records import read_records

Say = Callable[[str], None]


def done(study: Study, out: Path, work: Work) -> list[Cell]:
    """The cells whose runs are trained and scored."""
    return [cell for cell in cells(study) if finished(out / cell.folder, work)]


def conduct(
    study: Study, out: Path, work: Work, rates: Rates, tried: Tried, failed: Mapping[str, str], say: Say
) -> Conduct:
    """How the study went.

    Args:
        study: its grid.
        out: its directory.
        work: what is done for each run.
        rates: learning rates that trials chose.
        tried: these trials.
        failed: the reason, by a run's directory.
        say: told of test pictures that are in the training data.
    """
    runs = tuple(_state(out, cell, work, failed) for cell in cells(study))
    costs = tuple(
        _cost(study, cell, rates, tried)
        for cell in cells(study)
        if (cell.size, cell.seed, cell.budget) == (study.sizes[-1], study.seeds[0], "samples")
    )
    return Conduct(runs, costs, tuple(_overlaps(study, work, say)))


def _cost(study: Study, cell: Cell, rates: Rates, tried: Tried) -> ArmCost:
    config, which = run_of(study, cell, Path(), rates), (cell.model, cell.arm)
    spent = flops_of(study, cell.arm, cell.model)
    return ArmCost(cell.model, cell.arm.name, spent, config.optimizer.lr, tried.get(which, ()))


def _state(out: Path, cell: Cell, work: Work, failed: Mapping[str, str]) -> RunState:
    run = out / cell.folder
    if str(run) in failed:
        return RunState(cell, "failed", failed[str(run)])
    if not finished(run, work):
        return RunState(cell, "missing", "not finished" if begun(run) else "not begun")
    records = read_records(run / "metrics.jsonl")
    start = _last(records, "start")
    end = _last(records, "end")
    return RunState(
        *(cell, "finished"),
        warnings=tuple(dict.fromkeys(r["said"] for r in records if r["kind"] == "warning")),
        steps=end.get("step", 0),
        samples=end.get("samples", 0),
        flops=end.get("flops", 0.0),
        data_hash=start.get("data_hash", ""),
        order_hash=start.get("order_hash", ""),
    )


def _last(records: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next((record for record in reversed(records) if record["kind"] == kind), {})


def _overlaps(study: Study, work: Work, say: Say) -> Iterator[Overlap]:
    """Test pictures among all that any run may learn from; nothing where that is too much to look at."""
    copies = Copies(_whole(study), say)
    for place in work.places:
        for test in open_benchmark(place).tests:
            found = copies(test)
            if found is not None:
                yield Overlap(f"{test.name}/{test.split}", len(test), found)


def _whole(study: Study) -> Config:
    data = replace(study.base.data, samples=0, held_out=study.held_out)
    return replace(study.base, objective=study.baseline.objective, data=data)
