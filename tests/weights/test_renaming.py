"""One table, both directions."""

from __future__ import annotations

import pytest
import torch

from sightword.errors import SightwordError
from sightword.weights.renaming import Table, blocks, first_apart, fused, same, shaped, turned

TABLE = Table(
    [
        shaped("stem.weight", "conv.weight", (4, 12), (4, 3, 2, 2)),
        first_apart("class_position", "positions", "pos", (1, 10, 4)),
        turned("joint", "proj"),
        *blocks(2, fused("blocks.{i}.qkv", "h.{i}.q", "h.{i}.k", "h.{i}.v"), same("blocks.{i}.b", "h.{i}.b")),
    ],
    passed=lambda name: name == "position_ids",
)


def theirs() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    found = {"conv.weight": torch.randn(4, 3, 2, 2), "pos": torch.randn(1, 10, 4), "proj": torch.randn(4, 7)}
    for i in range(2):
        found |= {f"h.{i}.{part}": torch.randn(4, 4) for part in "qkv"} | {f"h.{i}.b": torch.randn(4)}
    return found


def test_there_and_back() -> None:
    before = theirs()
    ours = TABLE.inward(before | {"position_ids": torch.zeros(1)}, "w.pt")
    assert ours["stem.weight"].shape == (4, 12)
    assert torch.equal(ours["class_position"][0, 0], before["pos"][0, 0])
    assert torch.equal(ours["positions"], before["pos"][0, 1:])
    assert torch.equal(ours["joint"], before["proj"].T)
    assert torch.equal(ours["blocks.1.qkv"][4:8], before["h.1.k"])
    after = TABLE.outward(ours)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) and after[name].is_contiguous() for name in before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"h.2.q": torch.zeros(4, 4)}, "h.2.q is unknown"),
        ({"h.0.q": None, "pos": None}, "h.0.q is missing and 1 more"),
        ({"conv.weight": torch.zeros(5, 3, 2, 2)}, "do not fit together: conv.weight"),
    ],
)
def test_what_does_not_fit_is_one_line(change: dict[str, torch.Tensor | None], said: str) -> None:
    found = {name: tensor for name, tensor in (theirs() | change).items() if tensor is not None}
    with pytest.raises(SightwordError, match=said):
        TABLE.inward(found, "w.pt")
