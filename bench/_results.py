"""Where figures are kept: one line of JSON for each time a benchmark was run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightword.training.records import code_version


def append(out: Path | None, benchmark: str, rows: Sequence[dict[str, Any]], **setting: Any) -> None:
    """Add these rows to `out`, with what they were measured on; nothing without `out`."""
    if out is None:
        return
    machine = {
        "machine": platform.machine(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "time": round(time.time()),
    }
    line = {"benchmark": benchmark, **setting, **machine, "code_version": code_version(), "rows": list(rows)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def processor() -> str:
    """As the kernel names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def demand(parser: argparse.ArgumentParser, what: str, *given: object) -> None:
    """End in peace when nothing was given of what a script needs, as `make bench` calls it; else want all."""
    if not any(given):
        print(f"left out: it needs {what}")
        sys.exit(0)
    if not all(given):
        parser.error(f"it needs {what}")


def write_between(document: Path, marks: str, text: str) -> None:
    """Replace what stands between a page's marks."""
    begin, end = f"<!-- {marks} -->", f"<!-- {marks.partition(':')[0]}: end -->"
    before, _, rest = document.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{document} has no lines '{begin}' and '{end}'")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
