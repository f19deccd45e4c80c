"""Two thousand spoiled shards, pictures and indices through `data check` and training.

    python bench/faults_data.py --cases 2000 --seed 0 --out bench/results/faults.jsonl

Nothing may crash or hang, no sample that nothing was done to may be lost, and every bad one must be listed.
Each case is a small shard spoiled in one way; it is checked, read sample by sample, and trained on together
with others, for one epoch. Any case can be repeated: --only NUMBER.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _fault_kinds import KINDS
from _faults import Spoiled, good_shard, info, pictures, stored, tar_of
from _results import append
from PIL import Image

from sightword.config import (
    Config,
    DataConfig,
    ImageTowerConfig,
    ModelConfig,
    OptimizerConfig,
    TextTowerConfig,
)
from sightword.corpora.checking.check import check
from sightword.corpora.checking.checked import CheckOptions
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import CORPUS
from sightword.pairs.tars.places import tars
from sightword.pairs.tars.survey import index_shards
from sightword.training.loop import train
from sightword.views.files import views_of_files
from sightword.words import View

TOGETHER = 16  # cases in one training run
BATCH = 8
LIMIT = 60.0  # seconds for a case, and for a run
OUTCOMES = ("crashed", "hung", "lost", "mixed up", "unlisted")
Told = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", type=int, help="this case alone, with its traceback")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    numbers = range(given.cases) if given.only is None else [given.only]
    told = campaign(list(numbers), given.seed, given.processes)
    rows = table(told)
    print(f"{'kind':<20}{'cases':>6}{'served':>8}{'bad':>6}" + "".join(f"{name:>10}" for name in OUTCOMES))
    for row in rows:
        print(f"{row['kind']:<20}{row['cases']:>6}{row['served']:>8}{row['bad']:>6}"
              + "".join(f"{row[name]:>10}" for name in OUTCOMES))  # fmt: skip
    for one in told:
        if one.get("faults"):
            print(json.dumps(one, ensure_ascii=False))
    append(given.out, "faults_data", rows, cases=len(told), seed=given.seed)
    raise SystemExit(any(one.get("faults") for one in told))


def table(told: list[Told]) -> list[Told]:
    """A row for each kind, and one for all."""
    rows = []
    for kind in (*dict.fromkeys(one["kind"] for one in told), ""):
        mine = [one for one in told if one["kind"] == kind or not kind]
        counts = Counter(fault["outcome"] for one in mine for fault in one.get("faults", ()))
        rows.append(
            {
                "kind": kind or "all",
                "cases": sum(one["kind"] != "training" for one in mine),
                "served": sum(one.get("served", 0) for one in mine),
                "bad": sum(one.get("bad", 0) for one in mine),
                **{name: counts[name] for name in OUTCOMES},
            }
        )
    return rows


def campaign(numbers: list[int], seed: int, processes: int) -> list[Told]:
    """What came of all cases, and of the runs that trained on them."""
    pictures()  # once, for all processes
    groups = [numbers[i : i + TOGETHER] for i in range(0, len(numbers), TOGETHER)]
    told, waiting, running = list[Told](), groups[::-1], dict[Connection, _Worker]()
    while waiting or running:
        while waiting and len(running) < processes:
            worker = _Worker(waiting.pop(), seed)
            running[worker.ours] = worker
        for pipe in wait(list(running), timeout=1.0):
            worker = running[pipe]  # type: ignore[index]
            try:
                told += worker.hear()
            except EOFError:
                del running[worker.ours]
                told += worker.ended()
        for worker in list(running.values()):
            if time.monotonic() - worker.heard > LIMIT:
                worker.process.kill()
                worker.hung = True
    return sorted(told, key=lambda one: (one["number"], one["kind"]))


class _Worker:
    """A process with a group of cases; whatever becomes of it, the case at work is known."""

    def __init__(self, numbers: list[int], seed: int) -> None:
        self.ours, theirs = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_work, args=(numbers, seed, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.at, self.heard, self.hung, self.numbers = -1, time.monotonic(), False, numbers

    def hear(self) -> list[Told]:
        message = self.ours.recv()
        self.heard = time.monotonic()
        if isinstance(message, int):
            self.at = message
            return []
        return [message]

    def ended(self) -> list[Told]:
        self.process.join()
        if self.process.exitcode == 0 and not self.hung:
            return []
        what = {"outcome": "hung" if self.hung else "crashed", "what": f"exit code {self.process.exitcode}"}
        kind = kind_of(self.at) if self.at in self.numbers else "training"
        return [{"number": self.at, "kind": kind, "faults": [what]}]


def _work(numbers: list[int], seed: int, pipe: Connection) -> None:
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SIGHTWORD_CACHE"] = str(Path(folder, "cache"))
        bad, samples = set[str](), 0
        for number in numbers:
            pipe.send(number)
            told, mine, served = one_case(number, seed, Path(folder, "shards", f"{number:06}.tar"))
            bad |= mine
            samples += served
            pipe.send(told)
        pipe.send(-1 - numbers[0])
        pipe.send(one_run(numbers[0], Path(folder), bad, samples))


def kind_of(number: int) -> str:
    """Kinds take turns."""
    return list(KINDS)[number % len(KINDS)]


def one_case(number: int, seed: int, path: Path) -> tuple[Told, set[str], int]:
    """What came of it, keys that training should list, and how many samples it serves."""
    rng = np.random.default_rng([seed, number])
    spoiled = KINDS[kind_of(number)](good_shard(rng, f"s{number}"), rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(spoiled.content)
    told: Told = {"number": number, "kind": kind_of(number), "faults": []}
    try:
        served, bad, samples = read(path, spoiled)
        found = findings(path)
        told |= {"served": len(served), "bad": len(bad), "faults": judge(spoiled, served, bad, found)}
        return told, {key for key, why in bad.items() if "holds no pair" not in why}, samples
    except Exception:
        told["faults"] = [{"outcome": "crashed", "what": traceback.format_exc()}]
        return told, set(), 0


Served = tuple[dict[str, tuple[bytes, str]], dict[str, str], int]


def read(path: Path, spoiled: Spoiled) -> Served:
    """What training is served of a shard, what it is told is bad and why, and how many samples it counts."""
    reading = Reading(max_bad=1.0)
    try:
        pairs = open_pairs(str(path), reading=reading)
        if spoiled.sidecar is not None:
            index = path.with_name(path.name + ".index.npz")
            index.write_bytes(spoiled.sidecar(index.read_bytes()))
            pairs = open_pairs(str(path), reading=reading)
    except SightwordError as error:
        _check_one_line(error)
        return {}, {str(path): str(error)}, 0
    return seen(pairs)


def _check_one_line(error: SightwordError) -> None:
    if "\n" in str(error):
        raise AssertionError("an error of more than one line") from error


def seen(pairs: Pairs) -> Served:
    """Every sample read, and its picture made into a view."""
    served, bad = dict[str, tuple[bytes, str]](), dict(pairs.unreadable)
    view = View(16)
    for number in range(len(pairs)):
        try:
            sample = pairs[number]
        except BadSample as error:
            bad[error.key] = error.reason
            continue
        one = np.array([number])
        made = views_of_files([sample.image], [sample.key], [view], 0, one, np.zeros_like(one))
        if made.bad:
            bad[sample.key] = made.bad[0].reason
        else:
            served[sample.key] = sample.image, sample.caption
    return served, bad, len(pairs)


def findings(path: Path) -> list[Told]:
    """What `data check` lists of a shard."""
    out = path.parent.with_name("checks") / path.stem
    try:
        check(str(path), out, CheckOptions(processes=1))
    except SightwordError as error:
        _check_one_line(error)
        return [{"kind": "refused", "key": "", "reason": str(error)}]
    return [json.loads(line) for line in (out / "check.jsonl").read_text(errors="replace").splitlines()]


def judge(
    spoiled: Spoiled, served: dict[str, tuple[bytes, str]], bad: dict[str, str], found: list[Told]
) -> list[dict[str, str]]:
    """What went wrong."""
    faults = []
    for key, sample in spoiled.good.items():
        if key not in served:
            faults.append({"outcome": "lost", "what": f"{key}: {bad.get(key, 'not there')}"})
        elif served[key] != sample:
            faults.append({"outcome": "mixed up", "what": key})
    listed = {one["key"] for one in found if one["kind"] not in _PLAIN}
    whole = any(not one["key"] and one["kind"] in _OF_ALL for one in found)
    unlisted = [key for key in bad if key not in listed and not (whole and key.endswith(".tar"))]
    gone = spoiled.touched - served.keys() - bad.keys() - listed
    unlisted += [] if whole else sorted(gone)
    faults += [{"outcome": "unlisted", "what": f"{key}: {bad.get(key, 'gone')}"} for key in unlisted]
    return faults


_PLAIN = {"strip", "tiny", "blank", "same-picture", "near-copy", "few-shards", "wrong-type", "scattered"}
_OF_ALL = {"damaged-shard", "nothing", "refused", "other-files"}


def one_run(number: int, folder: Path, bad: set[str], samples: int) -> Told:
    """One epoch on all shards of a group: it must end, and its manifest name exactly what is bad."""
    told: Told = {"number": number, "kind": "training", "faults": []}
    png = stored(Image.effect_mandelbrot((20, 20), (-2, -1.5, 1, 1.5), 30), "PNG")
    filler = [(f"filler-{n}", png) for n in range(BATCH + -samples % BATCH)]
    members = [
        (f"{key}.{end}", data) for key, png in filler for end, data in (("png", png), ("txt", b"a set"))
    ]
    (folder / "shards/filler.tar").write_bytes(tar_of([(info(name, len(d)), d) for name, d in members]))
    try:
        spoil_index(folder / "shards", np.random.default_rng(number))
        out = train(tiny_config(folder / "run", folder / "shards"), say=lambda said: None)
        manifest = out / "quarantine.jsonl"
        lines = manifest.read_text().splitlines() if manifest.exists() else []
        listed = {json.loads(line)["key"] for line in lines}
        told["faults"] = [{"outcome": "unlisted", "what": f"training: {key}"} for key in sorted(bad - listed)]
        told["faults"] += [{"outcome": "lost", "what": f"training: {key}"} for key in sorted(listed - bad)]
    except Exception:
        told["faults"] = [{"outcome": "crashed", "what": traceback.format_exc()}]
    shutil.rmtree(folder / "run", ignore_errors=True)
    return told


def spoil_index(folder: Path, rng: np.random.Generator) -> None:
    """An index of the whole folder, in which bytes were changed or the end cut off: it must not be believed.

    Raises:
        AssertionError: it was, or what is in the shards is no longer seen as without it.
    """
    places, reading = tars(str(folder)), Reading(max_bad=1.0)
    before = open_pairs(str(folder), reading=reading)
    index_shards(places)
    index = folder / CORPUS
    whole = index.read_bytes()
    for how in range(8):
        at, changed = int(rng.integers(len(whole))), bytearray(whole)
        if how < 5:
            changed[at] ^= 1 << int(rng.integers(8))
        elif how < 7:
            changed[at : at + 40] = rng.bytes(min(40, len(whole) - at))
        else:
            del changed[at:]
        index.write_bytes(changed)
        after = open_pairs(str(folder), reading=reading)
        same = (after.data_hash, after.counts, after.report) == (
            before.data_hash,
            before.counts,
            before.report,
        )
        assert same, f"an index with byte {at} of {len(whole)} changed was believed"


def tiny_config(out: Path, data: Path) -> Config:
    """The smallest run that trains."""
    image = ImageTowerConfig(kind="vit", size=16, width=24, layers=(1,), heads=2, patch_size=8)
    text = TextTowerConfig(width=24, layers=1, heads=2, context=16)
    config = Config(
        objective="clip",
        out=str(out),
        data=DataConfig(path=str(data), tokenizer="learned", vocab=300, workers=0, max_bad=1.0, cache_mib=0),
        model=ModelConfig("tiny", image, text, embed=16),
        optimizer=OptimizerConfig(lr=1e-3, wd=0.1, warmup=0.2),
        batch_size=BATCH,
        epochs=1.0,
        precision="fp32",
        save_minutes=0.0,
        device="cpu",
    )
    return dataclasses.replace(config)


if __name__ == "__main__":
    main()
