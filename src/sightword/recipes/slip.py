"""SLIP's recipes (Mu et al. 2021, arXiv 2112.12750, appendix A, and the released main.py).

Global batch 4096, AdamW (0.9, 0.98), eps 1e-8, cosine 1e-6 -> lr -> 1e-5, one epoch of warm-up, bf16 where
the released code has fp16. Its two arms differ in learning rate and weight decay; these are as published.
Published zero-shot / linear / fine-tuned ImageNet top-1 after 25 epochs of YFCC15M stand with each.

    torchrun --nproc-per-node 8 -m sightword train slip-vit-b16-yfcc15m --data 'yfcc15m/{00000..01468}.tar'

Hardware of the paper: 64 V100 (CLIP 22.3 h, SLIP 30.5 h for ViT-B/16). `batch_size` is that of one process.
"""

from __future__ import annotations

from sightword.config import Config, DataConfig, OptimizerConfig
from sightword.recipes import models

_EPOCHS = 25


def clip_vit_s16_yfcc15m() -> Config:
    """CLIP ViT-S/16 on YFCC15M: 32.7 / 59.3 / 78.2."""
    return _recipe("clip", "vit-s16", lr=5e-4, wd=0.5)


def slip_vit_s16_yfcc15m() -> Config:
    """SLIP ViT-S/16 on YFCC15M: 38.3 / 66.4 / 80.3."""
    return _recipe("clip + 1.0 * simclr", "vit-s16", lr=3e-3, wd=0.1)


def clip_vit_b16_yfcc15m() -> Config:
    """CLIP ViT-B/16 on YFCC15M: 37.6 / 66.5 / 80.5."""
    return _recipe("clip", "vit-b16", lr=5e-4, wd=0.5)


def slip_vit_b16_yfcc15m() -> Config:
    """SLIP ViT-B/16 on YFCC15M: 42.8 / 72.1 / 82.6."""
    return _recipe("clip + 1.0 * simclr", "vit-b16", lr=3e-3, wd=0.1)


def simclr_vit_b16_yfcc15m() -> Config:
    """SimCLR alone, ViT-B/16 on YFCC15M's pictures: - / 64.0 / 82.5."""
    return _recipe("simclr", "vit-b16", lr=3.2e-3, wd=0.1)


def clip_vit_l16_yfcc15m() -> Config:
    """CLIP ViT-L/16 on YFCC15M: 40.4 / 70.5 / 81.0."""
    return _recipe("clip", "vit-l16", lr=5e-4, wd=0.5)


def slip_vit_l16_yfcc15m() -> Config:
    """SLIP ViT-L/16 on YFCC15M: 46.2 / 76.0 / 84.2."""
    return _recipe("clip + 1.0 * simclr", "vit-l16", lr=3e-3, wd=0.1)


def _recipe(objective: str, model: str, lr: float, wd: float) -> Config:
    return Config(
        objective=objective,
        model=models.find(model),
        data=DataConfig(path="yfcc15m", tokenizer="clip"),
        optimizer=OptimizerConfig(lr=lr, wd=wd, warmup=1 / _EPOCHS),
        batch_size=4096,
        epochs=float(_EPOCHS),
        precision="bf16",
    )
