"""The models that `step.py` and `gpu.py` time: SLIP's and CLIP's towers in several sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig

CONTEXT, VOCAB, EMBED = 77, 49408, 512


@dataclass(frozen=True)
class Size:
    """A pair of towers: a ViT, and a causal text tower over 77 tokens with QuickGELU as SLIP's, or GELU.

    rows: of a batch, for one picture a sample and for three.
    """

    name: str
    pixels: int
    patch: int
    width: int
    layers: int
    heads: int
    text_width: int
    text_layers: int
    text_heads: int
    rows: tuple[int, int]

    @property
    def slip(self) -> ModelConfig:
        """Ours, as SLIP's models.py and timm's ViT have it."""
        image = ImageTowerConfig(
            size=self.pixels, width=self.width, layers=(self.layers,), heads=self.heads, patch_size=self.patch
        )
        text = TextTowerConfig(
            width=self.text_width, layers=self.text_layers, heads=self.text_heads, context=CONTEXT
        )
        return ModelConfig(self.name, image, text, EMBED)

    @property
    def timm(self) -> dict[str, Any]:
        """What timm's `VisionTransformer` is given."""
        return {
            "img_size": self.pixels,
            "patch_size": self.patch,
            "embed_dim": self.width,
            "depth": self.layers,
            "num_heads": self.heads,
            "num_classes": 0,
        }

    @property
    def slip_text(self) -> dict[str, Any]:
        """What SLIP's classes are given of the text tower and the joint space."""
        return {
            "embed_dim": EMBED,
            "vision_width": self.width,
            "context_length": CONTEXT,
            "vocab_size": VOCAB,
            "transformer_width": self.text_width,
            "transformer_heads": self.text_heads,
            "transformer_layers": self.text_layers,
        }

    @property
    def open_clip(self) -> dict[str, Any]:
        """open_clip's `model_cfg`; of ViT-B/16 it is that of its ViT-B-16."""
        vision = {
            "image_size": self.pixels,
            "patch_size": self.patch,
            "width": self.width,
            "layers": self.layers,
            "head_width": self.width // self.heads,
        }
        text = {
            "context_length": CONTEXT,
            "vocab_size": VOCAB,
            "width": self.text_width,
            "heads": self.text_heads,
            "layers": self.text_layers,
        }
        return {"embed_dim": EMBED, "vision_cfg": vision, "text_cfg": text}


SIZES = (
    Size("tiny", 64, 8, 192, 12, 3, 192, 12, 3, (64, 32)),
    Size("tiny, SLIP's text", 64, 8, 192, 12, 3, 512, 12, 8, (64, 32)),
    Size("ViT-B/16", 224, 16, 768, 12, 12, 512, 12, 8, (24, 8)),
)
REHEARSAL = Size("rehearsal", 32, 8, 64, 2, 2, 64, 2, 2, (8, 4))
