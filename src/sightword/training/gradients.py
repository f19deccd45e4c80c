"""The gradient of each term by itself on the parameters that all share: how strong, and do they agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightword import distributed

Parts = Sequence[Tensor | None]


@dataclass(frozen=True)
class Agreement:
    """What was measured of the terms' own gradients.

    norms: the L2 norm of each, unweighted.
    cosines: of each with each later one; below zero they conflict (PCGrad, arXiv 2001.06782, definition 1).
    """

    norms: Mapping[str, float] = field(default_factory=dict)
    cosines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class TermGradients:
    """Adds up each term's gradient on some parameters, beside the step's own backward pass.

    Costs a backward pass for each term, and memory for as many gradients of these parameters as there are
    terms. Changes nothing: the graph is kept, and no `.grad` is touched.
    """

    def __init__(self, shared: nn.Module) -> None:
        self._parameters = [p for p in shared.parameters() if p.requires_grad]
        self._sums: dict[str, list[Tensor | None]] = {}

    def add(self, name: str, outputs: Sequence[Tensor], gradients: Sequence[Tensor] | None = None) -> None:
        """Send `gradients` (1 for a loss) of term `name` back from `outputs`, before the step's own."""
        if not self._parameters or not outputs:
            return
        found = torch.autograd.grad(
            outputs, self._parameters, gradients, retain_graph=True, allow_unused=True
        )
        before = self._sums.get(name, [None] * len(found))
        self._sums[name] = [_sum(a, b) for a, b in zip(before, found, strict=True)]

    def read(self) -> Agreement:
        """The norms and cosines of what was added, averaged over all processes first."""
        if not self._sums:
            return Agreement()
        names = list(self._sums)
        everyones = [[None if p is None else distributed.mean(p) for p in row] for row in self._sums.values()]
        products = inner_products(everyones).double().cpu()
        norms = products.diagonal().sqrt()
        cosines = (products / torch.outer(norms, norms)).tolist()
        later = {a: {b: cosines[i][j] for j, b in enumerate(names) if j > i} for i, a in enumerate(names)}
        return Agreement(
            dict(zip(names, norms.tolist(), strict=True)), {a: row for a, row in later.items() if row}
        )


def inner_products(rows: Sequence[Parts]) -> Float[Tensor, "n n"]:
    """The product of each of n vectors with each; a vector comes in pieces, of which None are zero."""
    device = next((p.device for row in rows for p in row if p is not None), None)
    products = torch.zeros(len(rows), len(rows), device=device)
    for i, a in enumerate(rows):
        for j, b in enumerate(rows[: i + 1]):
            products[i, j] = products[j, i] = _dot(zip(a, b, strict=True), products)
    return products


def _dot(pairs: Iterable[tuple[Tensor | None, Tensor | None]], like: Tensor) -> Tensor:
    dots = [
        torch.dot(a.flatten().float(), b.flatten().float())
        for a, b in pairs
        if a is not None and b is not None
    ]
    return torch.stack(dots).sum() if dots else like.new_zeros(())


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
