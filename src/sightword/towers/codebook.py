"""A codebook of directions: the nearest code of a feature, and codes that follow what chose them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sightword import distributed

_ROWS = 4096  # features compared with all codes at once: 128 MB beside 8192 codes
_PATIENCE = 4  # a code is dead after this many times its fair share of features passed it by


class Codebook(nn.Module):
    """Vector quantisation on the unit sphere, learned by moving averages.

    From VQ-VAE (van den Oord et al. 2017, arXiv 1711.00937): the nearest code stands for a feature, the
    gradient goes straight through (section 3.2), and codes are moving averages of what chose them (appendix
    A.1). From BEiT v2 (Peng et al. 2022, arXiv 2208.06366, section 2.2): features and codes are
    L2-normalised, and a code moves by 1 - `decay` towards the direction of the mean of its batch.

    Deviations: BEiT v2 starts by k-means of the first batch, this with features drawn from it. BEiT v2 leaves
    dead codes alone; here they start again at features of the batch, as in Jukebox (arXiv 2005.00341, section
    3), where a threshold on usage says what is dead. The draws are a pure function of how many batches were
    followed.

    Args:
        size: how many codes.
        width: numbers in a code.
        decay: of the moving averages.
    """

    codes: Tensor
    idle: Tensor
    followed: Tensor

    def __init__(self, size: int, width: int, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", F.normalize(torch.randn(size, width), dim=1))
        for name, shape in (("idle", (size,)), ("followed", ())):  # of learning alone, not kept
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int64), persistent=False)

    def forward(self, features: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n d"], Int64[Tensor, " n"]]:
        """The codes that stand for features, with the gradient of the normalised features; and which."""
        unit = F.normalize(features, dim=1)
        chosen = self.nearest(unit)
        return unit + (self.codes[chosen] - unit).detach(), chosen

    @torch.no_grad()
    def nearest(self, features: Float[Tensor, "n d"]) -> Int64[Tensor, " n"]:
        """The code of the smallest angle with each feature."""
        return torch.cat([(part @ self.codes.T).argmax(dim=1) for part in features.split(_ROWS)])

    @torch.no_grad()
    def follow(self, features: Float[Tensor, "n d"]) -> None:
        """Learn from one batch; with several processes, from the batches of all of them.

        Args:
            features: what the encoder says; the same number on every process.
        """
        unit = F.normalize(features.detach(), dim=1)
        if self.followed == 0:
            everyone = distributed.gather(unit)
            first = everyone[self._draw(len(everyone), len(self.codes))]
            self.codes[: len(first)] = first
        counts = self._move(unit)
        passed = int(counts.sum())
        self.idle.add_(passed).masked_fill_(counts > 0, 0)
        self._revive(unit)
        self.followed += 1

    def _move(self, unit: Float[Tensor, "n d"]) -> Float[Tensor, " k"]:
        """Codes towards the mean of what chose them; returns how often each was chosen, by everybody."""
        chosen = self.nearest(unit)
        sums = torch.zeros_like(self.codes).index_add_(0, chosen, unit)
        counts = torch.zeros_like(self.codes[:, 0]).index_add_(0, chosen, torch.ones_like(unit[:, 0]))
        ranks = distributed.world_size()
        sums, counts = ranks * distributed.mean(sums), ranks * distributed.mean(counts)
        target = torch.where(counts[:, None] > 0, F.normalize(sums, dim=1), self.codes)
        self.codes.copy_(F.normalize(self.codes.lerp(target, 1 - self.decay), dim=1))
        return counts

    def _revive(self, unit: Float[Tensor, "n d"]) -> None:
        dead = (self.idle >= _PATIENCE * len(self.codes)).nonzero()[:, 0]
        everyone = distributed.gather(unit)
        places = self._draw(len(everyone), len(dead))
        self.codes[dead[: len(places)]] = everyone[places]
        self.idle[dead] = 0

    def _draw(self, many: int, most: int) -> Int64[Tensor, " n"]:
        """At most `most` different numbers below `many`."""
        generator = torch.Generator().manual_seed(int(self.followed))
        return torch.randperm(many, generator=generator)[:most].to(self.codes.device)
