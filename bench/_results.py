"""Where figures are kept: one line of JSON for each time a benchmark was run."""

from __future__ import annotations

import json
import os
import platform
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
        "cores": len(os.sched_getaffinity(0)),
        "time": round(time.time()),
    }
    line = {"benchmark": benchmark, **setting, **machine, "code_version": code_version(), "rows": list(rows)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
