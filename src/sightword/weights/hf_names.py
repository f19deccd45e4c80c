"""The names that transformers gives to the parts of its CLIP, in pairs with ours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sightword.weights.clip_names import norm
from sightword.weights.renaming import Pair, blocks, fused, same

_PARTS = {
    "attn.proj": "self_attn.out_proj",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_KINDS = ("weight", "bias")


def layers(count: int, ours: str, theirs: str) -> list[Pair]:
    """Residual blocks; theirs keep queries, keys and values apart.

    Args:
        count: how many.
        ours: the tower, such as "towers.text.".
        theirs: the model, such as "text_model.".
    """
    mine, other = f"{ours}blocks.{{i}}.", f"{theirs}encoder.layers.{{i}}."
    apart = [
        fused(f"{mine}attn.qkv.{kind}", *(f"{other}self_attn.{part}_proj.{kind}" for part in "qkv"))
        for kind in _KINDS
    ]
    each = [same(f"{mine}{a}.{kind}", f"{other}{b}.{kind}") for a, b in _PARTS.items() for kind in _KINDS]
    return blocks(count, *apart, *each)


def text(count: int, swapped: tuple[int, int] | None = None) -> list[Pair]:
    """CLIP's text tower without its projection.

    Args:
        count: layers.
        swapped: two ids that stand for each other in their vocabulary; None where none do.
    """
    ours, theirs = "towers.text.", "text_model."
    return [
        _words(f"{ours}token_embedding.weight", f"{theirs}embeddings.token_embedding.weight", swapped),
        same(f"{ours}positional_embedding", f"{theirs}embeddings.position_embedding.weight"),
        *layers(count, ours, theirs),
        *norm(f"{ours}norm", f"{theirs}final_layer_norm"),
    ]


def _words(ours: str, theirs: str, swapped: tuple[int, int] | None) -> Pair:
    if swapped is None:
        return same(ours, theirs)

    def exchange(parts: Sequence[Tensor]) -> Sequence[Tensor]:
        order = torch.arange(len(parts[0]))
        order[list(swapped)] = torch.tensor(swapped[::-1])
        return [parts[0][order]]

    return Pair((ours,), (theirs,), exchange, exchange)
