"""What an objective is: it declares what it wants encoded, and scores what comes back.

To add one, put a module beside this one: its file name (underscores for hyphens) is its name in
`--objective`, and it holds exactly one concrete subclass of `Objective`. See docs/adding-an-objective.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from sightword.towers.joint_space import JointSpace
from sightword.words import Batch, Contrast, Encode, Encoded, Surroundings, Term


class Objective(nn.Module, ABC):
    """A loss with the heads that it owns. Never calls a tower.

    A subclass takes `around: Surroundings` first and its options as keywords with defaults (they become
    options of the grammar: `simclr(temperature=0.2)`), sets `self.wants`, and raises `SightwordError` when
    the towers do not fit it. Momentum copies of its own heads are `towers.momentum.Follower`s.

    Attributes:
        wants: what must be encoded, by the objective's own names.
        contrast: how it begins the logits of the joint space; None when it does not use that space.
        preparation: batches that `prepare` may look at.
    """

    wants: Mapping[str, Encode]
    contrast: Contrast | None = None
    preparation: int = 0

    def __init__(self, around: Surroundings) -> None:
        super().__init__()
        self.around = around
        self.wants = {}

    @abstractmethod
    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        """Score one whole batch.

        Args:
            encoded: for each name in `wants`, what the tower answered, for the whole batch.
            batch: the views and captions themselves (targets of reconstruction), ids and keys.
            joint: projections into the space that pictures and captions share, and its `logit_scale`;
                None when no objective of the run has a `contrast`.
        """

    def prepare(self, batches: Iterator[Batch]) -> None:
        """Called once, before the first step of a new run: fit or load what must be there by then.

        What comes of it belongs into parameters without gradient or buffers: checkpoints carry it, and a
        resumed run does not come here again.

        Args:
            batches: the first `preparation` batches of the run's own order, with the views wanted.
        """

    def pictures(self, encoded: Mapping[str, Encoded], batch: Batch) -> Mapping[str, Tensor]:
        """Pictures that show what this objective does (uint8, b 3 h w each), for reports; none by default."""
        return {}
