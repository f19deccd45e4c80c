"""What a run keeps on the disk while it trains: checkpoints, weights for use and the best of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from sightword.errors import SightwordError
from sightword.training.pretrainer import Encoders
from sightword.training.records import Records
from sightword.training.saving.best import Best
from sightword.training.saving.checkpoint import folder_of, prune, save_encoders
from sightword.training.saving.saver import Saver
from sightword.training.session import Session, config_digest
from sightword.training.together import ranks

State = Mapping[str, int | float]


class Keeper:
    """Saves a run beside its training, in all its processes. Leaving it waits for the last save."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.saver = Saver(session.out, session.config.keep_last)
        self.step = -1 if session.fresh else session.start  # of the newest checkpoint
        chooses = session.config.keep_best and ranks.leads()
        self.best = Best(session.out, session.config.keep_best, session.start) if chooses else None

    def __enter__(self) -> Keeper:
        self.saver.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.saver.__exit__(kind, error, trace)

    @property
    def fault(self) -> SightwordError | None:
        """Why a save failed, as far as is known by now."""
        return self.saver.fault()

    def save(self, state: State, records: Records) -> Path:
        """Begin to save the run as it is; what it has recorded reaches the disk before.

        Args:
            state: `step`, `samples` and `flops` behind the weights, and whatever else is to be remembered.
            records: where the save is noted once it is published.

        Raises:
            SightwordError: the save before this one failed.
        """
        session = self.session
        records.sync()
        hashes = {"data_hash": session.data_hash, "config_hash": config_digest(session.config)}
        path = self.saver.save(session.model, session.optimizer, {**state, **hashes}, self._about(state))
        self.step = int(state["step"])
        self.note(records)
        return path

    def note(self, records: Records) -> None:
        """Record what was published since."""
        for one in self.saver.published():
            took = {"blocked_seconds": round(one.blocked_seconds, 4), "seconds": round(one.seconds, 4)}
            records.write("save", step=one.step, path=one.path.name, bytes=one.bytes, **took)

    def finish(self, records: Records) -> None:
        """Wait until everything is published, and record it.

        Raises:
            SightwordError: it could not be.
        """
        self.saver.wait()
        self.note(records)

    def publish(self, encoders: Encoders, state: State) -> None:
        """Write the weights for use once more, after a kill between the last checkpoint and them.

        Raises:
            SightwordError: the disk is full.
        """
        ranks.first(lambda: self._publish(encoders, state))

    def _publish(self, encoders: Encoders, state: State) -> None:
        out = self.session.out
        save_encoders(out, encoders, self._about(state))
        saved = folder_of(out, int(state["step"]))
        if saved.is_dir():
            prune(saved.parent, saved, self.session.config.keep_last)

    def look(self, scores: Sequence[Mapping[str, Any]], encoders: Encoders, state: State) -> None:
        """Keep the weights that were scored where they are the best so far.

        Raises:
            SightwordError: the score to choose by is not among them, or the disk is full.
        """
        if self.best is not None:
            self.best.look(scores, encoders, self._about(state))

    def _about(self, state: State) -> dict[str, Any]:
        known = {"step": int(state["step"]), "samples": int(state["samples"]), "flops": state["flops"]}
        return {**known, "objective": self.session.config.objective}
