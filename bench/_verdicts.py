"""A run that was disturbed, held against one that was not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _attempts import Line

Fault = tuple[str, str]  # which promise was broken, and how


@dataclass
class Whole:
    """The undisturbed run: what all others of its shape must be equal to."""

    out: Path
    trace: list[Line]

    @property
    def events(self) -> list[Line]:
        """All that it could have been struck at."""
        return [line for line in self.trace if line["what"] == "event"]

    @property
    def batches(self) -> dict[tuple[str, int, int], str]:
        """The digest of each batch, of preparing and of training, by step and rank."""
        given = [x for x in self.trace if x["what"] in ("batch", "prepare")]
        return {(x["what"], x["step"], x["rank"]): x["digest"] for x in given}


def wrong_batches(trace: list[Line], whole: Whole) -> Iterator[Fault]:
    """Batches that are not those of the undisturbed run, or come in another order."""
    before: dict[tuple[int, int, int], int] = {}
    for line in (x for x in trace if x["what"] in ("batch", "prepare")):
        place = line["what"], line["step"], line["rank"]
        if whole.batches.get(place) != line["digest"]:
            yield "batches", f"{place} of start {line['attempt']} is another batch"
        if line["what"] == "batch":
            start = line["attempt"], line["restart"], line["rank"]
            if before.get(start, line["step"] - 1) != line["step"] - 1:
                yield "batches", f"step {line['step']} came after step {before[start]}"
            before[start] = line["step"]
    for rank in {x["rank"] for x in trace}:
        given = {x["step"] for x in trace if x["what"] == "batch" and x["rank"] == rank}
        missing = {step for what, step, of in whole.batches if what == "batch" and of == rank} - given
        if missing:
            yield "batches", f"rank {rank} was never given {sorted(missing)}"


def wrong_weights(out: Path, whole: Path) -> Iterator[Fault]:
    """What differs, to the byte, in the weights for use and in the last checkpoint."""
    newest = max((whole / "checkpoints").glob("step-*"))
    wanted = [whole / "model.safetensors", *(f for f in sorted(newest.rglob("*")) if f.is_file())]
    for file in wanted:
        name = file.relative_to(whole)
        if not (out / name).is_file():
            yield "weights", f"{name} is missing"
        elif _content(out / name) != _content(file):
            yield "weights", f"{name} differs"


def _content(file: Path) -> Any:
    """Without what may differ: how long it took, and the hash of that."""
    if file.name == "state.json":
        return {k: v for k, v in json.loads(file.read_text()).items() if k != "seconds"}
    if file.name == "manifest.json":
        rows = json.loads(file.read_text())
        return {name: row for name, row in rows.items() if name != "state.json"} | {"rows": sorted(rows)}
    return file.read_bytes()


def wrong_records(out: Path, whole: Path) -> Iterator[Fault]:
    """Records of steps must be those of the undisturbed run: each once, in order, with its numbers."""
    ours, theirs = _records(out), _records(whole)
    if [_numbers(r) for r in ours if r["kind"] == "step"] != [
        _numbers(r) for r in theirs if r["kind"] == "step"
    ]:
        steps = [r["step"] for r in ours if r["kind"] == "step"]
        yield "records", f"steps {steps} are not those of the undisturbed run, or their numbers are not"
    kinds = [r["kind"] for r in ours if r["kind"] != "hang"]  # of a start that may have begun nothing
    if kinds.count("start") != 1 or kinds[0] != "start" or kinds.count("end") != 1 or kinds[-1] != "end":
        yield "records", f"not one start and one end: {kinds}"
    saves = [r["step"] for r in ours if r["kind"] == "save"]
    if saves != sorted(set(saves)):
        yield "records", f"saves {saves}"
    bad = [_reasons(path / "quarantine.jsonl") for path in (out, whole)]
    if bad[0] != bad[1]:
        yield "records", f"quarantine {bad[0]} is not {bad[1]}"


def _records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def _reasons(file: Path) -> list[str]:
    return sorted(file.read_text().splitlines()) if file.exists() else []


_OF_THE_CLOCK = {
    "time",
    "step_seconds",
    "samples_per_second",
    "data_wait",
    "data_seconds",
    "tflops_per_second",
    "mfu",
    "gemm_peak_tflops",
    "memory_mib",
    "memory_reserved_mib",
}


def _numbers(record: Line) -> Line:
    return {name: value for name, value in record.items() if name not in _OF_THE_CLOCK}


def leftovers(out: Path, whole: Path) -> Iterator[Fault]:
    """Files that the undisturbed run does not have."""
    ours, theirs = ({str(path.relative_to(one)) for path in one.rglob("*")} for one in (out, whole))
    more = sorted(ours - theirs - {"hang.json"})  # which says why the run hung once
    if more:
        yield "leftovers", f"{more}"


def unflushed(trace: list[Line]) -> Iterator[Fault]:
    """Files that took their place before all of their content was on disk."""
    flushed: dict[str, list[int]] = {}
    for line in trace:
        if line["what"] == "flushed":
            flushed[line["about"]] = line["state"]
        elif line["what"] == "published" and line["target"] is not None:
            for file, state in line["files"].items():
                if flushed.get(file) != state:
                    yield "leftovers", f"{file} was renamed to {line['target']} before it was flushed"
