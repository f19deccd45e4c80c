"""FLIP's recipes (Li et al. 2023, arXiv 2212.00794, and the released configs/default.py).

CLIP with half of the patches dropped: 10,000 "epochs" of 1,281,167 pairs (32 of LAION-400M) at 65,536 a step,
AdamW (0.9, 0.95), decay .2, learning rate 4e-6 for every 256 of the batch, warm-up over 40 of the epochs from
0, cosine to 0. Fixed sine-cosine positions, mean of the patch tokens, a bidirectional text tower over 32
tokens. Crops of 50 to 100 % and a flip. Published zero-shot ImageNet top-1 stands with each; it is after a
further tuning without dropping.

    torchrun --nproc-per-node 8 -m sightword train flip-vit-b16 --data 'laion400m/{00000..41407}.tar'

Hardware of the paper: 256 TPU v3 cores. `batch_size` is that of all processes.

Not reproduced: that tuning (100 more of its epochs, learning rate 4e-8 for every 256, warm-up over 20 of
them): a run here can start from another's image tower alone. WordPiece's vocabulary (CLIP's here). Its mean
takes the class token in, and its text feature is the first token's (here a class token of its own, and none
for the picture).
"""

from __future__ import annotations

from sightword.config import (
    Config,
    DataConfig,
    ImageTowerConfig,
    ModelConfig,
    OptimizerConfig,
    TextTowerConfig,
)

_BATCH = 65_536
_EPOCHS = 10_000  # of ImageNet's length
_STEPS = round(_EPOCHS * 1_281_167 / _BATCH)


def flip_vit_b16() -> Config:
    """FLIP ViT-B/16, half of the patches dropped, on LAION-400M: 68.0."""
    image = ImageTowerConfig(width=768, layers=(12,), heads=12, positions="sincos", pool="gap")
    return _recipe("b16", image, _text(width=512, heads=8), embed=512)


def flip_vit_l16() -> Config:
    """FLIP ViT-L/16, half of the patches dropped, on LAION-400M: 74.3."""
    image = ImageTowerConfig(width=1024, layers=(24,), heads=16, positions="sincos", pool="gap")
    return _recipe("l16", image, _text(width=768, heads=12), embed=768)


def _text(width: int, heads: int) -> TextTowerConfig:
    return TextTowerConfig(
        width=width, heads=heads, context=32, attention="bidirectional", pool="class", activation="gelu"
    )


def _recipe(name: str, image: ImageTowerConfig, text: TextTowerConfig, embed: int) -> Config:
    return Config(
        objective="clip(drop=0.5, view=flip)",
        model=ModelConfig(f"flip-{name}", image, text, embed),
        data=DataConfig(path="laion400m", tokenizer="clip"),
        optimizer=OptimizerConfig(
            lr=4e-6 * _BATCH / 256,
            wd=0.2,
            betas=(0.9, 0.95),
            warmup=40 / _EPOCHS,
            lr_start=0.0,
            lr_end=0.0,
        ),
        batch_size=_BATCH,
        steps=_STEPS,
        precision="bf16",
    )
