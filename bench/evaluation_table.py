"""The table of docs/evaluation.md: runs on real labelled sets, every number with its interval.

    python bench/evaluation_table.py runs/demo/clip runs/demo/slip --sets DIR --write docs/evaluation.md

DIR is what `bench/real_sets.py` has made; the demo's own unseen pictures are asked beside them. Scores lie in
the runs, as `sightword evaluate` leaves them; what is scored is not scored again. The table is drawn of them.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from _results import append, demand, write_between

from sightword.evaluation.compare import Comparison, compare
from sightword.evaluation.run import evaluate
from sightword.evaluation.scores import Score, read_scores
from sightword.training.model import load_model, place_of_scores

TASKS = {"zeroshot": "zero-shot", "knn": "kNN", "linear": "linear"}
MARKS = "evaluation: written by bench/evaluation_table.py"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--sets", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    given = parser.parse_args()
    demand(parser, "RUN ... and --sets DIR (bench/real_sets.py makes some)", given.runs, given.sets)
    folders = sorted(str(path.parent) for path in given.sets.glob("*/test"))
    for run in given.runs:
        evaluate(load_model(run), place_of_scores(run), ["demo", *folders], list(TASKS))
    scores = {run.name: _latest(run) for run in given.runs}
    text = "\n".join(_text(scores, [compare(given.runs[0], other) for other in given.runs[1:]]))
    print(text)
    if given.write:
        write_between(given.write, MARKS, text)
    append(given.out, "evaluation table", [dataclasses.asdict(s) for found in scores.values() for s in found])


def _latest(run: Path) -> list[Score]:
    """The newest score of each set's own metric."""
    found = {(s.dataset, s.split, s.task): s for s in read_scores(run) if s.headline and s.task in TASKS}
    return list(found.values())


def _text(scores: dict[str, list[Score]], comparisons: Sequence[Comparison]) -> Iterator[str]:
    columns = [f"{TASKS[task]}, {run}" for task in TASKS for run in scores]
    yield f"| set | n | metric | {' | '.join(columns)} |"
    yield "|---|--:|---|" + "--:|" * len(columns)
    cells = {(s.dataset, s.split, s.task, run): s for run, found in scores.items() for s in found}
    for dataset, split in dict.fromkeys((dataset, split) for dataset, split, _, _ in cells):
        row = [cells.get((dataset, split, task, run)) for task in TASKS for run in scores]
        one = next(score for score in row if score)
        yield f"| {dataset}/{split} | {one.n:,} | {one.metric} | {' | '.join(map(_cell, row))} |"
    for comparison in comparisons:
        yield f"\n{comparison.conclusion()}."


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"


if __name__ == "__main__":
    main()
