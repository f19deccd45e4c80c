"""What was fetched from elsewhere, and every failure on the way: a line of JSON for each transfer.

Many processes fetch for one run (the main one ahead of need, a worker when that came too late), so they write
to one file, and whoever wants to know adds up.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from sightword.pairs.remote.patience import listed

NAME = "transfers.jsonl"
_MOST = 64 << 20  # bytes of a journal; the one before is kept as well


@final
@dataclass(frozen=True)
class Transfers:
    """How much was fetched.

    shards, bytes: whole shards, and bytes of all transfers.
    seconds: that transfers took, side by side or one after another.
    failures: that passed or not, by kind.
    """

    shards: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Transfers) -> Transfers:
        failures = Counter(self.failures) + Counter(other.failures)
        return Transfers(
            self.shards + other.shards,
            self.bytes + other.bytes,
            self.seconds + other.seconds,
            dict(failures),
        )

    def __str__(self) -> str:
        failed = sum(self.failures.values())
        speed = self.bytes / self.seconds / 1e6 if self.seconds else 0.0
        said = f"{self.shards:,} shards fetched, {self.bytes / 1e9:.2f} GB at {speed:.0f} MB/s each"
        tried = (
            f"{failed:,} failures tried again ({listed(Counter(self.failures))})" if failed else "no failure"
        )
        return f"{said}, {tried}"


@final
@dataclass(frozen=True)
class Journal:
    """Where transfers are noted.

    file: shared by all processes that use a folder of shards.
    reader: a name for one opening of a data set: only its transfers are added up.
    """

    file: Path
    reader: str

    def note(
        self, address: str, whole: bool, bytes: int, seconds: float, failures: Mapping[str, int]
    ) -> None:
        """Add a transfer; a journal that cannot be written must not stop a run."""
        line = {
            "time": round(time.time(), 3),
            "reader": self.reader,
            "address": address,
            "whole": whole,
            "bytes": bytes,
            "seconds": round(seconds, 4),
            "failures": dict(failures),
        }
        try:
            if self.file.exists() and self.file.stat().st_size > _MOST:
                os.replace(self.file, self._before)
            handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return
        try:
            os.write(handle, json.dumps(line).encode() + b"\n")  # in one piece: lines never mix
        except OSError:
            return
        finally:
            os.close(handle)

    def total(self) -> Transfers:
        """All transfers of this reader."""
        total = Transfers()
        for line in self._lines():
            total += Transfers(int(line["whole"]), line["bytes"], line["seconds"], line["failures"])
        return total

    @property
    def _before(self) -> Path:
        return self.file.with_suffix(".before.jsonl")

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        mine = json.dumps(self.reader).encode()
        for file in (self._before, self.file):
            if not file.exists():
                continue
            with file.open("rb") as lines:
                yield from (json.loads(line) for line in lines if mine in line and line.endswith(b"}\n"))
