"""When a run records, and when it saves."""

from __future__ import annotations

import time

from sightword.config import Config

_GRADIENTS_EVERY = 5  # records between two with each term's own gradient, which costs a backward pass a term


class Schedule:
    """What is due after a step, counted from 1.

    Args:
        config: says how often.
        total: steps of the whole run.
    """

    def __init__(self, config: Config, total: int) -> None:
        self.config, self.total = config, total
        self._saved_at = time.monotonic()

    def records(self, step: int) -> bool:
        """Whether a step is recorded."""
        return step % self.config.log_every == 0 or step in (1, self.total)

    def gradients(self, step: int) -> bool:
        """Whether each term's own gradient is recorded as well."""
        return step % (_GRADIENTS_EVERY * self.config.log_every) == 0 or step in (1, self.total)

    def looks(self, step: int) -> bool:
        """Whether whoever watches the run looks at it."""
        every = self.config.zeroshot_frequency
        return every > 0 and (step % every == 0 or step == self.total)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is due by the count of steps."""
        every = self.config.save_every
        return (every > 0 and step % every == 0) or step == self.total

    @property
    def overdue(self) -> bool:
        """Whether a checkpoint is due by the clock, which differs from process to process."""
        minutes = self.config.save_minutes
        return minutes > 0 and time.monotonic() - self._saved_at > 60 * minutes

    def saved(self) -> None:
        """A checkpoint was made now."""
        self._saved_at = time.monotonic()
