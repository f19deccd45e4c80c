"""The fault campaign: runs that are killed, cut off, stopped and starved, and end as if nothing had been.

    python bench/faults.py --seed 0 --out bench/results/faults.jsonl        # everything, 15 to 25 minutes
    python bench/faults.py --quick                                          # one process, a minute
    python bench/faults.py --only 17                                        # one run again; its files stay

Each kind of run is trained once undisturbed. Then it is trained again and again, through faults drawn by the
seed, each time going on with `--resume` or by torchrun's restart, until it has ended. It must have been given
the same batches, pixel for pixel; its weights and last checkpoint must be equal to the byte, its records the
same and each there once; nothing may be left over, and every start must have answered as promised. Prints a
table for docs/reliability.md; exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from _campaign import FULL, QUICK, SHAPES, Drawn, draw, pairs
from _lives import WRONG, Life, Suffered, Whole, small_disk
from _results import append
from rich.console import Console

from sightword.training.progress import bar_with_eta

MEGABYTES = 12  # of the small disk that runs fill up


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few faults, in one process")
    parser.add_argument("--only", type=int, help="this run alone; its files stay")
    parser.add_argument("--shape", help="only runs of this shape, such as '1 process'")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--keep", type=Path, help="where the files of all runs stay")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    lives = [
        life for life in draw(QUICK if given.quick else FULL, given.seed)
        if given.only in (None, life.number) and given.shape in (None, life.shape)
    ]  # fmt: skip
    with ExitStack() as stack:
        kept = given.keep or (Path(tempfile.mkdtemp()) if given.only is not None else None)
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        suffered = Campaign(folder, given.seed, given.jobs, keep=kept is not None).run(lives)
    rows = table(suffered)
    print(markdown(rows))
    for one in suffered:
        for what, why in one.wrong:
            print(f"run {one.life} ({one.shape}) {one.kind}: {one.what}\n    {what}: {why}")
    if kept:
        print(f"files: {kept}")
    append(given.out, "faults", rows, runs=len(lives), seed=given.seed, quick=given.quick)
    raise SystemExit(any(one.wrong for one in suffered))


@dataclass
class Campaign:
    """All runs, some at a time.

    keep: whether the files of runs that ended well stay too.
    """

    folder: Path
    seed: int
    jobs: int
    keep: bool = False
    _wholes: dict[str, Whole] = field(default_factory=dict)
    _lock: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def run(self, lives: Sequence[Drawn]) -> list[Suffered]:
        """Every fault of all these runs, and what came of it."""
        os.environ |= {"OMP_NUM_THREADS": "1", "SIGHTWORD_CACHE": str(self.folder / "cache")}
        self.data = pairs(self.folder / "pairs.tar")
        console, suffered = Console(stderr=True), list[Suffered]()
        with (
            bar_with_eta(console, disable=not console.is_terminal) as bar,
            ThreadPoolExecutor(self.jobs, "life") as pool,
        ):
            task = bar.add_task("faults", total=sum(len(life.kinds) + 1 for life in lives))
            waiting = {pool.submit(self._live, life): life for life in lives}
            for done in as_completed(waiting):
                suffered += done.result()
                bar.advance(task, len(waiting[done].kinds) + 1)
                if not console.is_terminal:
                    print(self._line(waiting[done], done.result()), file=sys.stderr, flush=True)
        return sorted(suffered, key=lambda one: one.life)

    def _whole(self, shape: str) -> Whole:
        with self._lock[shape]:
            if shape not in self._wholes:
                folder = self.folder / f"undisturbed-{len(self._wholes)}"
                self._wholes[shape] = Life(-1, SHAPES[shape], self.data, folder, None).run_whole()
            return self._wholes[shape]

    def _live(self, drawn: Drawn) -> list[Suffered]:
        whole, shape = self._whole(drawn.shape), SHAPES[drawn.shape]
        folder, chance = self.folder / f"run-{drawn.number:03}", Random(f"{self.seed} {drawn.number}")
        life = Life(drawn.number, shape, self.data, folder, whole)
        with ExitStack() as stack:
            if "disk full" in drawn.kinds and not stack.enter_context(small_disk(life.out.parent, MEGABYTES)):
                drawn = drawn.without("disk full")
            for kind in drawn.kinds:
                life.suffer(kind, chance)
            life.finish()
            if self.keep:
                shutil.copytree(life.out, folder / "run", dirs_exist_ok=True)
        if not self.keep and not any(one.wrong for one in life.suffered):
            shutil.rmtree(folder)
        return life.suffered

    def _line(self, drawn: Drawn, suffered: Sequence[Suffered]) -> str:
        wrong = sum(bool(one.wrong) for one in suffered)
        return f"run {drawn.number} ({drawn.shape}): {len(suffered)} faults, {wrong} with something wrong"


def table(suffered: Sequence[Suffered]) -> list[dict[str, Any]]:
    """A row for each kind of fault and shape, one for each shape, and one for all."""
    shapes = list(dict.fromkeys(one.shape for one in suffered))
    kinds = list(dict.fromkeys(one.kind for one in suffered))
    rows = []
    for shape in shapes:
        rows += [_row(kind, shape, suffered) for kind in sorted(kinds)]
        rows.append(_row("all", shape, suffered))
    rows.append(_row("all", "all", suffered))
    return [row for row in rows if row["tries"] or row["missed"]]


def _row(kind: str, shape: str, suffered: Sequence[Suffered]) -> dict[str, Any]:
    mine = [x for x in suffered if kind in (x.kind, "all") and shape in (x.shape, "all")]
    seconds = [one.seconds for one in mine if one.seconds is not None and one.struck]
    counts = {name: sum(any(what == name for what, _ in one.wrong) for one in mine) for name in WRONG}
    return {
        "fault": kind,
        "shape": shape,
        "tries": sum(one.struck for one in mine),
        "missed": sum(not one.struck for one in mine),
        **counts,
        "seconds": round(statistics.median(seconds), 1) if seconds else None,
    }


TITLES = {
    "fault": "fault", "shape": "run", "tries": "tries", "missed": "came too late", "lost": "runs lost",
    "batches": "wrong batches", "weights": "other weights", "records": "wrong records",
    "leftovers": "left over", "answers": "wrong answers", "seconds": "seconds to go on",
}  # fmt: skip


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table as it stands in docs/reliability.md."""
    lines = [f"| {' | '.join(TITLES.values())} |", "|---" * 2 + "|--:" * (len(TITLES) - 2) + "|"]
    cells = [["" if row[name] is None else str(row[name]) for name in TITLES] for row in rows]
    lines += [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
