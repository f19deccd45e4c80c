"""The fault campaign: runs that are killed, cut off, stopped and starved, and end as if nothing had been.

    python bench/faults.py --out bench/results/faults.jsonl --write docs/reliability.md   # everything
    python bench/faults.py --quick                    # ten faults in one process: a minute
    python bench/faults.py --only 17                  # one run again; its files stay

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
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from _campaign import FULL, QUICK, SHAPES, Drawn, draw, pairs
from _kinds import KINDS
from _lives import WRONG, Life, Suffered, Whole, small_disk
from _results import append, write_between
from rich.console import Console

from sightword.training.progress import bar_with_eta
from sightword.training.records import code_version

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
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    given, begun = parser.parse_args(), time.monotonic()
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
    text = f"{_summary(lives, suffered, given.seed, time.monotonic() - begun)}\n\n{markdown(rows)}"
    print(text)
    if given.write:
        write_between(given.write, MARKS, text)
    print("\n".join(_reasons(suffered)))
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
    _lives: list[Life] = field(default_factory=list)
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
            try:
                for done in as_completed(waiting):
                    suffered += done.result()
                    bar.advance(task, len(waiting[done].kinds) + 1)
                    if not console.is_terminal:
                        print(self._line(waiting[done], done.result()), file=sys.stderr, flush=True)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise
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
            self._go_through(life, drawn.kinds, chance)
            if self.keep and life.out.is_dir():
                shutil.copytree(life.out, folder / "run", dirs_exist_ok=True)
        if not self.keep and not any(one.wrong for one in life.suffered):
            shutil.rmtree(folder)
        return life.suffered

    def _go_through(self, life: Life, kinds: Sequence[str], chance: Random) -> None:
        self._lives.append(life)
        try:
            for kind in kinds:
                life.suffer(kind, chance)
            life.finish()
        except Exception:  # of the campaign itself: the other runs go on
            if not life.suffered:
                raise
            life.everyone("lost", f"the campaign failed: {traceback.format_exc()}")

    def _stop(self) -> None:
        """Nothing that was started is left behind when the campaign is stopped."""
        for life in self._lives:
            for attempt in life.attempts:
                attempt.kill_all()

    def _line(self, drawn: Drawn, suffered: Sequence[Suffered]) -> str:
        wrong = sum(bool(one.wrong) for one in suffered)
        told = f"run {drawn.number} ({drawn.shape}): {len(suffered)} faults, {wrong} with something wrong"
        return "\n".join([told, *_reasons(suffered)])


def _reasons(suffered: Sequence[Suffered]) -> list[str]:
    return [
        f"run {one.life} ({one.shape}) {one.kind}: {one.what}\n    {what}: {why}"
        for one in suffered
        for what, why in one.wrong
    ]


def _summary(lives: Sequence[Drawn], suffered: Sequence[Suffered], seed: int, seconds: float) -> str:
    struck = [one for one in suffered if one.struck]
    kills = sum(one.kind.startswith(("kill", "power cut")) for one in struck)
    torn = sum(one.kind.startswith("checkpoint") for one in struck)
    return (
        f"{len(lives)} runs, {len(struck)} faults ({kills} kills, {torn} spoiled checkpoints; {len(suffered)}"
        f" drawn, the others came when the run had ended), seed {seed}: {seconds / 60:.0f} minutes on"
        f" {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}, sightword {code_version()}."
    )


def table(suffered: Sequence[Suffered]) -> list[dict[str, Any]]:
    """A row for each kind of fault in each kind of run, and in all of them; and for all kinds."""
    shapes = [*dict.fromkeys(one.shape for one in suffered), "all"]
    kinds = [*(kind for kind in KINDS if any(one.kind == kind for one in suffered)), "all"]
    rows = [_row(kind, shape, suffered) for kind in kinds for shape in shapes]
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


_TITLES = {
    "lost": "runs lost", "batches": "wrong batches", "weights": "other weights", "records": "wrong records",
    "leftovers": "left over", "answers": "wrong answers", "seconds": "seconds to go on",
}  # fmt: skip


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table as it stands in docs/reliability.md: how often each fault struck, and what was wrong then."""
    shapes = list(dict.fromkeys(row["shape"] for row in rows if row["shape"] != "all"))
    tries = {(row["fault"], row["shape"]): row["tries"] for row in rows}
    lines = [
        f"| fault | {' | '.join(shapes)} | {' | '.join(_TITLES.values())} |",
        "|---|" + "--:|" * (len(shapes) + len(_TITLES)),
    ]
    for row in (row for row in rows if row["shape"] == "all"):
        cells = [tries.get((row["fault"], shape), "") for shape in shapes]
        cells += ["" if row[name] is None else row[name] for name in _TITLES]
        lines.append(f"| {row['fault']} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


MARKS = "faults: written by bench/faults.py"


if __name__ == "__main__":
    main()
