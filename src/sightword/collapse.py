"""Signs of collapse: how widely features lie, and how close those lie that belong together.

Pure measurements, not losses: features in, one number out, computed in float64, without gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def effective_rank(features: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """RankMe: over how many directions features spread, from 1 to min(n, d).

    exp of the entropy of the singular values' shares; Garrido et al. 2023 (arXiv 2210.02885), equations 1 and
    2. As there, features are neither centred nor scaled. The paper adds 1e-7 to each share against log 0;
    here 0 log 0 is 0. Features that are all zero have rank 1; where one is not finite, so is the answer.
    """
    if not torch.isfinite(features).all():
        return features.new_full((), torch.nan, dtype=torch.float64)
    wide = features.double() if features.shape[0] >= features.shape[1] else features.double().T
    # The squares of the singular values, which is ten times faster. In float64 those above a hundred
    # millionth of the largest are exact, and what lies below adds nothing that can be seen.
    values = torch.linalg.eigvalsh(wide.T @ wide).clamp_min(0).sqrt()
    shares = values / values.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return torch.special.entr(shares).sum().exp()


@torch.no_grad()
def deviation(features: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """The standard deviation of each dimension of L2-normalised features, averaged over dimensions.

    Chen and He 2021 (SimSiam, arXiv 2011.10566), section 4.1: 0 where all features are one, 1/sqrt(d) where
    they lie all around the sphere.
    """
    return _unit(features).std(dim=0, correction=0).mean()


@torch.no_grad()
def alignment(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """The mean squared distance of L2-normalised pairs: 0 where they agree, 2 where they are unrelated.

    Wang and Isola 2020 (arXiv 2005.10242), section 4.1, with alpha = 2. Row i of `x` belongs to row i of `y`.
    """
    return (_unit(x) - _unit(y)).square().sum(dim=1).mean()


@torch.no_grad()
def uniformity(features: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """How evenly L2-normalised features lie on the sphere: 0 where all are one, near -4 where evenly.

    Wang and Isola 2020 (arXiv 2005.10242), section 4.1, with t = 2: the logarithm of the mean of
    exp(-2 |x - y|^2) over all pairs of two rows.
    """
    return torch.pdist(_unit(features)).square().mul(-2).exp().mean().log()


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.double(), dim=-1)
