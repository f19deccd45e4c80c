"""SigLIP's recipes (Zhai et al. 2023, arXiv 2303.15343, sections 4.2 and 4.6).

40 billion examples of WebLI's English part at 32,768 a step, second moments averaged by .95, attention
pooling, 256 patches (16 at 256 pixels), captions of 64 tokens, a text tower of the image tower's shape. The
scale begins at 10, the bias at -10.

    torchrun --nproc-per-node 8 -m sightword train siglip-vit-b16 --data 'pairs/{00000..99999}.tar'

Hardware of the paper: TPU v4, for the long runs not said how many (32 chips and two days for a shorter B/16
at 72.1). `batch_size` is that of all processes.

Not reproduced: WebLI, which is not public; its vocabulary of 32,000 (CLIP's here); Adafactor (AdamW here);
pictures resized without a crop (crops of 90 to 100 % here). Unknown: the learning rate, decay, warm-up and
clipping of the paper's own runs; here they are those of its successor (arXiv 2502.14786, section 2), from the
same authors, data and batch: 1e-3, 1e-4 beside the learning rate (so .1 in torch, which multiplies the two),
20,000 steps, norm 1, a cosine to 0.
"""

from __future__ import annotations

from sightword.config import (
    Config,
    DataConfig,
    ImageTowerConfig,
    ModelConfig,
    TextTowerConfig,
)
from sightword.recipes import siglip2

_BATCH = 32_768
_STEPS = round(40e9 / _BATCH)


def siglip_vit_b16() -> Config:
    """SigLIP ViT-B/16 at 256 pixels on 40 B examples; its figures are in the paper's table 3."""
    return _recipe("b16", width=768, layers=12, heads=12)


def siglip_vit_l16() -> Config:
    """SigLIP ViT-L/16 at 256 pixels on 40 B examples; its figures are in the paper's table 3."""
    return _recipe("l16", width=1024, layers=24, heads=16)


def _recipe(name: str, width: int, layers: int, heads: int) -> Config:
    image = ImageTowerConfig(
        size=256,
        width=width,
        layers=(layers,),
        heads=heads,
        patch_size=16,
        pool="attention",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    text = TextTowerConfig(  # read at the last token, as the released weights have it
        width=width,
        layers=layers,
        heads=heads,
        context=64,
        attention="bidirectional",
        pool="eot",
        activation="gelu",
    )
    return Config(
        objective="siglip(view=whole)",
        model=ModelConfig(f"siglip-{name}", image, text, embed=width),
        data=DataConfig(path="webli", tokenizer="clip"),
        optimizer=siglip2.LEARNING,  # SigLIP's own is not known to us
        batch_size=_BATCH,
        steps=_STEPS,
        precision="bf16",
    )
