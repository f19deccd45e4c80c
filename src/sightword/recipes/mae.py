"""MAE's pre-training on ImageNet-1K (He et al. 2022, arXiv 2111.06377, table 8; released PRETRAIN.md).

Batch 4096, AdamW (0.9, 0.95), weight decay .05, learning rate 1.5e-4 x batch / 256, warm-up of 40 epochs from
0, cosine to 0; 75 % hidden, targets normalised within each patch, fixed sine and cosine positions, a class
token. Published ImageNet top-1 stands with each, zero-shot / linear / fine-tuned: those of the released code
(FINETUNE.md, mean of four seeds where it has them; the paper's own, trained on TPUs, differ by .3 at most).
Captions are not read, but samples with a blank one are left out: give the class's name. `batch_size` is that
of all processes.

    torchrun --nnodes 8 --nproc-per-node 8 -m sightword train mae-vit-l16-imagenet \\
      --data 'imagenet/{00000..00127}.tar' --batch-size 64 --out runs/mae-vit-l16-imagenet

Hardware: 64 V100, about 42 hours for 800 epochs of ViT-L (PRETRAIN.md). Unknown: nothing that is set here.
Deviations: bf16 where the released code has fp16; bilinear crops (see `views.named.reconstruction`).
"""

from __future__ import annotations

from dataclasses import replace

from sightword.config import Config, DataConfig, OptimizerConfig
from sightword.recipes import models

_BATCH = 4096


def mae_vit_b16_imagenet() -> Config:
    """MAE ViT-B/16, ImageNet-1K, 1600 epochs: - / 67.8 / 83.6."""
    return _recipe("vit-b16", 1600)


def mae_vit_l16_imagenet() -> Config:
    """MAE ViT-L/16, ImageNet-1K, 800 epochs: - / - / 85.5."""
    return _recipe("vit-l16", 800)


def mae_vit_l16_imagenet_1600ep() -> Config:
    """MAE ViT-L/16, ImageNet-1K, 1600 epochs: - / 76.0 / 85.9."""
    return _recipe("vit-l16", 1600)


def _recipe(model: str, epochs: int) -> Config:
    found = models.find(model)
    return Config(
        objective="mae",
        model=replace(found, image=replace(found.image, positions="sincos")),
        data=DataConfig(path="imagenet", tokenizer="clip"),
        optimizer=OptimizerConfig(
            lr=1.5e-4 * _BATCH / 256,
            wd=0.05,
            betas=(0.9, 0.95),
            warmup=40 / epochs,
            lr_start=0.0,
            lr_end=0.0,
        ),
        batch_size=_BATCH,
        epochs=float(epochs),
        precision="bf16",
    )
