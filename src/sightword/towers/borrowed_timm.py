"""Image towers of the `timm` library, by its names: `--model timm:convnext_tiny`."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError, unknown
from sightword.towers.borrowed import BorrowedImageTower, in_a_row
from sightword.towers.borrowing import library
from sightword.words import Encoded


class TimmTower(BorrowedImageTower):
    """A network of timm without its classifier: `forward_features`, then `forward_head(pre_logits=True)`.

    Raises:
        SightwordError: timm cannot be imported, or has no such network.
    """

    def __init__(self, config: ImageTowerConfig) -> None:
        shown = _shown(config.name, config.size)
        super().__init__(_made(config), config, shown, f"timm's {config.name}")
        self.any_size = not default(config.name).fixed_input_size

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `ImageTower`: as timm groups a network's parts (`group_matcher`), the stem left out.

        A group of its own is what timm takes for one, such as the norm behind a ViT's blocks.
        """
        helpers: Any = library("timm.models", self.said, "timm")
        matcher = self.trunk.group_matcher(coarse=False)  # type: ignore[operator]
        found = defaultdict[int, list[nn.Module]](list)
        for number, names in helpers.group_modules(self.trunk, matcher).items():
            found[number] = [self.trunk.get_submodule(name) for name in names]
        return [found[number] for number in sorted(found)[1:]]

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
    ) -> Encoded:
        """See `ImageTower`; tokens are the last feature map, or the patches of a transformer."""
        return _encoded(self.trunk, self.enter(images, hidden, self.any_size))


def default(name: str) -> Any:
    """What timm knows of a network: `input_size`, `mean`, `std`, `interpolation`, `crop_mode`.

    Raises:
        SightwordError: timm cannot be imported, or has no such network.
    """
    timm: Any = library("timm", f"--model timm:{name}", "timm")
    plain = name.partition(".")[0]
    if not timm.is_model(plain):
        raise unknown("model of timm", plain, timm.list_models())
    known = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if known is None:
        raise SightwordError(f"timm has no configuration for '{name}'; give a name of timm.list_models()")
    return known


def shapes(name: str, size: int) -> tuple[int, int]:
    """How wide a network's feature is, and how many tokens it has, of pictures of `size` pixels."""
    shown = _shown(name, size)
    return shown.pooled.shape[1], shown.tokens.shape[1]


def _made(config: ImageTowerConfig) -> nn.Module:
    timm: Any = library("timm", f"--model timm:{config.name}", "timm")
    known, more = default(config.name), dict[str, Any]()
    if known.fixed_input_size and known.input_size[-1] != config.size:
        more["img_size"] = config.size
    if config.drop_path:
        more["drop_path_rate"] = config.drop_path
    made: nn.Module = timm.create_model(config.name, pretrained=False, num_classes=0, **more)
    return made


@cache
def _shown(name: str, size: int) -> Encoded:
    """What a network answers of one picture, as shapes."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        trunk = _made(ImageTowerConfig("timm", name=name, size=size)).eval()
        return _encoded(trunk, torch.zeros(1, 3, size, size))


def _encoded(trunk: Any, images: Float[Tensor, "b 3 h w"]) -> Encoded:
    found = trunk.forward_features(images)
    prefix = getattr(trunk, "num_prefix_tokens", 0)
    last = str(getattr(trunk, "output_fmt", "NCHW")).endswith("NHWC")
    pooled = trunk.forward_head(found, pre_logits=True).flatten(1)
    return Encoded(pooled, in_a_row(found, prefix, last))
