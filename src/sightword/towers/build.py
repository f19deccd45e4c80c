"""Floor 2. From a configuration to towers, refusing what does not fit before anything is allocated."""

from __future__ import annotations

from sightword.config import ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import ImageTower, TextTower
from sightword.towers.resnet import ResNet
from sightword.towers.text import TextTransformer


def build_image(config: ImageTowerConfig) -> ImageTower:
    """The image tower of a configuration; its weights depend on torch's global seed and nothing else.

    Raises:
        SightwordError: the configuration contradicts itself.
    """
    return ResNet(config)


def build_text(config: TextTowerConfig, vocab: int, pad: int, eot: int) -> TextTower:
    """The text tower of a configuration, for a tokenizer with `vocab` ids.

    Raises:
        SightwordError: the configuration contradicts itself.
    """
    return TextTransformer(config, vocab, pad, eot)
