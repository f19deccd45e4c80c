"""A student's features learn from a slow teacher's: DINO's loss with its heads and its centre."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.following import centred_softmax, soft_cross_entropy
from sightword.towers.heads import PrototypeHead
from sightword.towers.momentum import Follower
from sightword.words import Teacher, Term


class Distillation(nn.Module):
    """A head of prototypes, its momentum copy, and the running centre of what the copy answers.

    Caron et al. 2021 (arXiv 2104.14294), algorithm 1 and equation 4. Deviations: DINO's code keeps the
    prototypes still in the first epoch, and can raise the teacher's temperature over the first epochs (its
    default does not); here both are constant from the first step.

    Args:
        name: of the objective, for complaints.
        widths: of the features, of the hidden layers, of the bottleneck, and how many prototypes.
        teacher: the momentum of the head's copy.
        temperatures: the student's and the teacher's.
        centre_momentum: how slowly the centre moves.

    Raises:
        SightwordError: a number is out of its range.
    """

    centre: Tensor

    def __init__(
        self,
        name: str,
        widths: tuple[int, int, int, int],
        teacher: Teacher,
        temperatures: tuple[float, float],
        centre_momentum: float,
    ) -> None:
        super().__init__()
        if min(widths) < 1 or min(temperatures) <= 0:
            raise SightwordError(
                f"{name} needs hidden, bottleneck, out and both temperatures above zero; "
                f"try {name}(hidden=512, bottleneck=64, out=4096)"
            )
        if not all(0 <= m <= 1 for m in (teacher.momentum, teacher.end, centre_momentum)):
            raise SightwordError(
                f"{name} needs momentum, momentum_end and centre_momentum from 0 to 1; try 0.996 and 0.9"
            )
        self.student_temperature, self.teacher_temperature = temperatures
        self.centre_momentum = centre_momentum
        self.head = PrototypeHead(*widths)
        self.slow_head = Follower(self.head, teacher)
        self.register_buffer("centre", torch.zeros(widths[-1]))

    def forward(
        self, students: Sequence[Float[Tensor, "rows width"]], taught: Float[Tensor, "rows width"]
    ) -> Term:
        """The mean over views and rows; the centre moves afterwards.

        Args:
            students: each view's features; row i of each belongs to row i of `taught`.
            taught: the teacher's features.

        Returns:
            the loss, with `teacher_entropy` (nats; of the mean row), `kl` (loss less entropy) and
            `prototypes` (exp of the entropy of all rows together: about how many are in use).
        """
        logits = self.slow_head(taught)
        target = centred_softmax(logits, self.centre, self.teacher_temperature)
        answers = self.head(torch.cat(list(students))).split(len(taught))  # prototypes are many: once for all
        views = [soft_cross_entropy(answer, target, self.student_temperature) for answer in answers]
        loss = torch.stack(views).mean()
        if self.training:
            self._move_centre(logits)
        return Term(loss, _metrics(loss, target))

    @torch.no_grad()
    def _move_centre(self, logits: Float[Tensor, "rows k"]) -> None:
        """Equation 4: c <- m c + (1 - m) mean of the batch, over all ranks."""
        self.centre.lerp_(distributed.mean(logits.mean(dim=0)), 1 - self.centre_momentum)


@torch.no_grad()
def _metrics(loss: Float[Tensor, ""], target: Float[Tensor, "rows k"]) -> dict[str, Tensor]:
    entropy = torch.special.entr(target).sum(dim=-1).mean()
    used = torch.special.entr(distributed.mean(target.mean(dim=0))).sum().exp()
    return {"teacher_entropy": entropy, "kl": loss.detach() - entropy, "prototypes": used}
