"""What every borrowed image tower does, tried on a small network; tests/peers has the libraries."""

from __future__ import annotations

import copy

import pytest
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor, nn

from sightword import distributed
from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.towers.batch_norm import BatchNorm2d
from sightword.towers.borrowed import BorrowedImageTower, in_a_row, last_groups
from sightword.towers.locking import lock
from sightword.words import Encoded


class OwnNorm(nn.BatchNorm2d):
    """As other libraries have them."""


def trunk(norm: type[nn.BatchNorm2d] = nn.BatchNorm2d) -> nn.Module:
    body = nn.Module()
    body.add_module("stem", nn.Sequential(nn.Conv2d(3, 4, 4, 4), norm(4)))
    body.add_module("encoder", nn.Module())
    body.encoder.add_module("stages", nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 6, 1)]))  # type: ignore[union-attr]
    body.encoder.add_module("norm", nn.GroupNorm(2, 6))  # type: ignore[union-attr]
    body.add_module("last", nn.Conv2d(6, 6, 1))
    return body


class Small(BorrowedImageTower):
    def __init__(self, body: nn.Module, size: int = 16) -> None:
        shown = Encoded(torch.zeros(1, 6), torch.zeros(1, (size // 4) ** 2, 6))
        config = ImageTowerConfig("timm", name="small", size=size, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
        super().__init__(body, config, shown, "the small tower")

    @property
    def groups(self) -> list[list[nn.Module]]:
        return last_groups(self.trunk)

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
    ) -> Encoded:
        x = self.enter(images, hidden, any_size=False)
        body: nn.Module = self.trunk
        for part in (body.stem, *body.encoder.stages, body.encoder.norm, body.last):  # type: ignore[union-attr, operator]
            x = part(x)
        tokens = in_a_row(x, 0, channels_last=False)
        return Encoded(tokens.mean(1), tokens)


def bytes_of(size: int = 16) -> Tensor:
    return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)


def test_bytes_are_normalised_once_and_facts_are_true() -> None:
    body, images = trunk(), bytes_of()
    tower = Small(copy.deepcopy(body)).eval()
    pixels = images.float() / 255
    for channel, (mean, std) in enumerate(zip((0.5, 0.4, 0.3), (0.2, 0.3, 0.4), strict=True)):
        pixels[:, channel] = (pixels[:, channel] - mean) / std
    x = body.eval().last(body.encoder.norm(body.encoder.stages[1](body.encoder.stages[0](body.stem(pixels)))))  # type: ignore[union-attr, operator, index]
    torch.testing.assert_close(tower(images).pooled, x.mean((2, 3)), rtol=1e-4, atol=1e-5)
    facts = tower.facts
    assert (facts.width, facts.grid, facts.maskable, facts.patch_size) == (6, (4, 4), False, None)


def test_batch_norms_of_torch_see_all_processes() -> None:
    body = trunk()
    before = body.state_dict()
    tower = Small(body)
    assert isinstance(tower.trunk.stem[1], BatchNorm2d)  # type: ignore[index, union-attr]
    assert tower.trunk.state_dict().keys() == before.keys()
    assert tower.mixes_batch
    assert not tower.alone


def test_batch_norms_of_others_learn_in_one_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = Small(trunk(OwnNorm))
    tower(bytes_of())
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(SightwordError, match="train it in one process, or lock it"):
        tower(bytes_of())
    tower.eval()(bytes_of())


def test_what_it_refuses() -> None:
    tower = Small(trunk())
    with pytest.raises(SightwordError, match="the small tower cannot hide patches"):
        tower(bytes_of(), torch.zeros(2, 16, dtype=torch.bool))
    with pytest.raises(SightwordError, match="made for pictures of 16 pixels, and gets some of 8"):
        tower(bytes_of(8))


def test_groups_are_the_first_list_and_what_follows_the_last() -> None:
    tower = Small(trunk())
    lock(tower, 1)
    learning = {name for name, p in tower.named_parameters() if p.requires_grad}
    parts = ("trunk.encoder.stages.1.", "trunk.encoder.norm.", "trunk.last.")
    assert learning == {name for name, _ in tower.named_parameters() if name.startswith(parts)}
    assert last_groups(nn.Linear(2, 2)) == []


def test_tokens_in_a_row() -> None:
    places = torch.arange(12.0).view(1, 3, 2, 2)
    assert in_a_row(places, 0, False)[0, 1].tolist() == [1, 5, 9]
    assert torch.equal(in_a_row(places.permute(0, 2, 3, 1), 0, True), in_a_row(places, 0, False))
    assert in_a_row(torch.arange(10.0).view(1, 5, 2), 2, False)[0, 0].tolist() == [4, 5]
