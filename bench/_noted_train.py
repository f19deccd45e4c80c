"""`sightword`, that also notes which samples each step of each process was given: a line of JSON a step."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from sightword.cli import main
from sightword.training.stepping import Stepper

_plain = Stepper.forward_backward


def _noted(self: Stepper, step: int, batch: Any, *rest: Any) -> Any:
    rank = int(os.environ.get("RANK", "0"))
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    line = {"step": step, "rank": rank, "ranks": ranks, "ids": batch.ids.tolist(), "process": os.getpid()}
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return _plain(self, step, batch, *rest)


Stepper.forward_backward = _noted  # type: ignore[method-assign]
main(sys.argv[1:])
