"""The flags that say whose towers there are, and what of them learns. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from tyro.conf import FlagCreatePairsOff
from tyro.conf import arg as any_arg

arg = partial(any_arg, help_behavior_hint="")

NAMES = {  # which setting each flag changes
    "lock_image": "lock.image",
    "lock_image_unlocked_groups": "lock.image_unlocked_groups",
    "lock_text": "lock.text",
    "lock_text_unlocked_layers": "lock.text_unlocked_layers",
    "lora_rank": "lora.rank",
    "lora_alpha": "lora.alpha",
    "lora_on": "lora.on",
}


@dataclass(frozen=True)
class TowerFlags:
    """Whose towers, and what of them learns (docs/interop.md)."""

    text_model: Annotated[str | None, arg(metavar="hf:FOLDER")] = None
    """a text tower of transformers, with its own tokenizer (--model takes hf:FOLDER and timm:NAME)"""
    lock_image: Annotated[FlagCreatePairsOff[bool], arg()] = False
    """the image tower keeps the weights that it starts with; the projections learn"""
    lock_image_unlocked_groups: Annotated[int | None, arg(metavar="N")] = None
    """but for its last N blocks (of a ViT) or stages (of a ResNet)"""
    lock_text: Annotated[FlagCreatePairsOff[bool], arg()] = False
    """the text tower keeps the weights that it starts with"""
    lock_text_unlocked_layers: Annotated[int | None, arg(metavar="N")] = None
    """but for its last N layers"""
    lora_rank: Annotated[int | None, arg(metavar="R")] = None
    """learn low-rank adapters in place of the towers' weights (needs peft); 0 for none"""
    lora_alpha: Annotated[float | None, arg(metavar="X")] = None
    """adapters count alpha / rank (default: as much as the rank)"""
    lora_on: Annotated[str | None, arg(metavar="TOWERS")] = None
    """image, text, or both with a comma (default)"""
