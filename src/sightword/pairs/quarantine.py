"""Unreadable samples: each noted once in a manifest, and the run stopped when they are too many."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import final

from sightword.errors import SightwordError

_ENOUGH = 100  # samples seen before their rate says anything
_SIGMAS = 3.0  # below a full pass, how far above the limit may be chance


@final
class Quarantine:
    """The unreadable samples of a run, in a JSON-lines manifest of `{"key", "reason"}`.

    Args:
        file: the manifest; one from before a resume is read again, so nothing is counted twice.
        max_bad: share of unreadable samples above which a run stops.
        size: samples in the data set.
    """

    def __init__(self, file: Path, max_bad: float, size: int) -> None:
        self.file, self.max_bad, self.size = file, max_bad, size
        self.reasons = self._read()
        self._listed = set[str]()

    def __len__(self) -> int:
        """Samples, without what is only listed."""
        return len(self.reasons) - len(self._listed)

    def list(self, left_out: Iterable[tuple[str, str]]) -> None:
        """Put what is no part of the data set into the manifest: it was judged when that was opened."""
        entries = dict(left_out)
        self._listed |= entries.keys()
        new = {key: reason for key, reason in entries.items() if key not in self.reasons}
        if new:
            self.reasons |= new
            self._append(new)

    def add(self, bad: Iterable[tuple[str, str]], seen: int) -> int:
        """Note a batch's unreadable samples.

        Args:
            bad: (key, reason) of each; keys that are known already are passed over.
            seen: samples that the run has asked for so far, this batch included.

        Returns:
            How many were new.

        Raises:
            SightwordError: too many samples are unreadable; the manifest is written before.
        """
        new = {key: reason for key, reason in bad if key not in self.reasons}
        if new:
            self.reasons |= new
            self._append(new)
            self._judge(seen)
        return len(new)

    def _judge(self, seen: int) -> None:
        """Each sample counts once, so later epochs neither add to the rate nor thin it out."""
        judged = min(seen, self.size)
        allowed = self.max_bad * judged
        if judged < self.size:
            allowed += _SIGMAS * math.sqrt(allowed)  # a count's standard deviation, as Poisson's
        if len(self) <= allowed or judged < min(_ENOUGH, self.size):
            return
        key, reason = next((key, why) for key, why in self.reasons.items() if key not in self._listed)
        raise SightwordError(
            f"{len(self):,} of {judged:,} samples are unreadable, more than max_bad = {self.max_bad:g}; "
            f"first {key} ({reason}), all in '{self.file}'; repair the data or set --data.max-bad higher"
        )

    def _append(self, new: dict[str, str]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+b") as file:
            if file.tell() and not self.file.read_bytes().endswith(b"\n"):
                file.write(b"\n")  # a line torn by a kill
            for key, reason in new.items():
                file.write(json.dumps({"key": key, "reason": reason}, ensure_ascii=False).encode() + b"\n")

    def _read(self) -> dict[str, str]:
        reasons = dict[str, str]()
        for line in self.file.read_bytes().splitlines() if self.file.exists() else []:
            try:
                entry = json.loads(line)
                reasons[entry["key"]] = entry["reason"]
            except (ValueError, KeyError, TypeError):
                continue  # a line torn by a kill: its sample will be met and noted again
        return reasons
