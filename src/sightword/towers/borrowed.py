"""What towers of other libraries have in common: their shapes tell what they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightword import distributed
from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import ImageTower
from sightword.towers.batch_norm import BatchNorm2d
from sightword.words import Encoded, ImageFacts


class BorrowedImageTower(ImageTower):
    """A network of another library, `trunk`, with our entrance (bytes) and our answer (`Encoded`).

    Args:
        trunk: the network; its parameters keep their names, behind `trunk.`.
        config: says the size of pictures, mean and deviation.
        shown: what the trunk answers of one picture, on any device: pooled (1, d), tokens (1, n, w).
        said: the tower's name for errors.
    """

    def __init__(self, trunk: nn.Module, config: ImageTowerConfig, shown: Encoded, said: str) -> None:
        count = shown.tokens.shape[1]
        side = math.isqrt(count)
        facts = ImageFacts(
            width=shown.pooled.shape[1],
            token_width=shown.tokens.shape[2],
            size=config.size,
            grid=(side, side) if side * side == count else (1, count),
            patch_size=None,
            maskable=False,
            mean=config.mean,
            std=config.std,
        )
        over_all_ranks(trunk)
        norms = [module for module in trunk.modules() if isinstance(module, _BatchNorm)]
        super().__init__(facts, mixes_batch=bool(norms))
        self.trunk, self.said = trunk, said
        self.alone = any(not isinstance(norm, BatchNorm2d) for norm in norms)

    def enter(
        self, images: Tensor, hidden: Bool[Tensor, "b grid"] | None, any_size: bool
    ) -> Float[Tensor, "b 3 h w"]:
        """Pictures as the trunk wants them.

        Raises:
            SightwordError: something is to be hidden, the size is another one, or batch norms that know their
                own process alone are to learn in several.
        """
        if hidden is not None:
            raise SightwordError(
                f"{self.said} cannot hide patches from itself; objectives that hide some need a ViT of this"
                " package, such as --model vit-b16"
            )
        if not any_size and images.shape[-1] != self.facts.size:
            raise SightwordError(
                f"{self.said} was made for pictures of {self.facts.size} pixels, and gets some of"
                f" {images.shape[-1]}; leave out objectives with local views, or take a convolutional network"
            )
        if self.alone and self.training and distributed.world_size() > 1:
            raise SightwordError(
                f"{self.said} has batch norms of its own kind, which see their own process alone; train it in"
                " one process, or lock it: --lock-image"
            )
        return self.normalise(images)


def over_all_ranks(trunk: nn.Module) -> None:
    """Torch's own batch norms of pictures become ours, which see the batch of all processes."""
    for module in trunk.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm2d  # the same state; only forward differs, in several processes


def in_a_row(found: Float[Tensor, b * rest], prefix: int, channels_last: bool) -> Float[Tensor, "b n w"]:
    """The tokens of the grid, row by row: a map's places, or a sequence without its first `prefix`."""
    if found.ndim == 4:
        return found.flatten(1, 2) if channels_last else found.flatten(2).transpose(1, 2)
    return found[:, prefix:]


def last_groups(trunk: nn.Module) -> list[list[nn.Module]]:
    """The first list of modules in a network, each a group, the last one with whatever is registered later.

    Networks register their parts in the order in which they compute.
    """
    for name, module in trunk.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) > 0:
            return [*([layer] for layer in module[:-1]), [module[-1], *_after(trunk, name.split("."))]]
    return []


def _after(trunk: nn.Module, path: Sequence[str]) -> list[nn.Module]:
    found, here = list[nn.Module](), trunk
    for name in path:
        names = [child for child, _ in here.named_children()]
        later = names[names.index(name) + 1 :]
        found += [module for child, module in here.named_children() if child in later]
        here = here.get_submodule(name)
    return found
