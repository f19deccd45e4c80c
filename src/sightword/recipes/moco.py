"""MoCo v3's pre-training of ViTs on ImageNet-1K (Chen et al. 2021, arXiv 2104.02057; released CONFIG.md).

Batch 4096, AdamW (0.9, 0.999), base learning rate 1.5e-4 x batch / 256, weight decay .1, warm-up of 40
epochs, cosine to 0, 300 epochs; temperature .2, momentum .99 to 1 by a cosine; fixed sine and cosine
positions, a class token, and a random patch embedding that is not trained (section 4.2). ImageNet top-1 from
the released README stands with each: zero-shot / linear / fine-tuned. Captions are not read; images without
any need a .txt with some word beside them. `batch_size` is that of all processes.

    torchrun --nnodes 8 --nproc-per-node 8 -m sightword train mocov3-vit-b16-imagenet \\
      --data 'imagenet/{00000..00127}.tar' --batch-size 64 --out runs/mocov3-vit-b16-imagenet

Hardware: 32 V100 for ViT-S and 64 for ViT-B (CONFIG.md); the paper's TPU runs took 3.6 and 6.3 hours on 256
cores (table 3, times three). Unknown: hours on those GPUs.
Deviations: bf16 where the released code has fp16; no decay on biases and norms, which the code decays; this
package's initial weights, with which patches come out of the frozen embedding 1.7 (B) or 2 (S) times smaller
than with the code's, beside the same positions. SLIP's rows on YFCC15M: slip_variants.py.
"""

from __future__ import annotations

from dataclasses import replace

from sightword.config import Config, DataConfig, OptimizerConfig
from sightword.recipes import models

_BATCH, _EPOCHS = 4096, 300


def mocov3_vit_s16_imagenet() -> Config:
    """MoCo v3 ViT-S/16, ImageNet-1K, 300 epochs: - / 73.2 / 81.4."""
    return _recipe("vit-s16")


def mocov3_vit_b16_imagenet() -> Config:
    """MoCo v3 ViT-B/16, ImageNet-1K, 300 epochs: - / 76.7 / 83.2."""
    return _recipe("vit-b16")


def _recipe(model: str) -> Config:
    found = models.find(model)
    return Config(
        objective="mocov3",
        model=replace(found, image=replace(found.image, positions="sincos", freeze_stem=True)),
        data=DataConfig(path="imagenet", tokenizer="clip"),
        optimizer=OptimizerConfig(
            lr=1.5e-4 * _BATCH / 256,
            wd=0.1,
            betas=(0.9, 0.999),
            warmup=40 / _EPOCHS,
            lr_start=0.0,
            lr_end=0.0,
        ),
        batch_size=_BATCH,
        epochs=float(_EPOCHS),
        precision="bf16",
    )
