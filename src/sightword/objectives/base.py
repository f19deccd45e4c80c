"""Floor 4. What an objective is: it declares what it wants encoded, and scores what comes back.

To add one, put a module beside this one: its file name (underscores for hyphens) is its name in
`--objective`, and it holds exactly one concrete subclass of `Objective`. See docs/adding-an-objective.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from sightword.towers.joint_space import JointSpace
from sightword.words import Batch, Encode, Encoded, Surroundings, Term


class Objective(nn.Module, ABC):
    """A loss with the heads that it owns. Never calls a tower.

    A subclass takes `around: Surroundings` first and its options as keywords with defaults (they become
    options of the grammar: `simclr(temperature=0.2)`), sets `self.wants`, and raises `SightwordError` when
    the towers do not fit it. Momentum copies of its own heads are `towers.momentum.Follower`s.
    """

    wants: Mapping[str, Encode]

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
                None when the run has no text tower.
        """

    def pictures(self, encoded: Mapping[str, Encoded], batch: Batch) -> Mapping[str, Tensor]:
        """Pictures that show what this objective does (uint8, b 3 h w each), for reports; none by default."""
        return {}
