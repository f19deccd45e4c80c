"""BYOL on ViTs and ImageNet-1K, as far as it is published (arXiv 2006.07733; MoCo v3's paper, 2104.02057).

BYOL trained ResNets with LARS. Its ViT results are MoCo v3's (table 4): batch 4096, 300 epochs, BYOL's own
heads (appendix A) and, as for all methods there, sine and cosine positions and a random patch embedding that
is not trained (sections 5 and 6.1). Momentum .99 to 1 is BYOL's released configuration for 300 epochs.
ImageNet top-1 stands with each: zero-shot / linear / fine-tuned. Captions are not read; images without any
need a .txt with some word beside them. `batch_size` is that of all processes.

    torchrun --nnodes 8 --nproc-per-node 8 -m sightword train byol-vit-b16-imagenet \\
      --data 'imagenet/{00000..00127}.tar' --batch-size 64 --out runs/byol-vit-b16-imagenet

Hardware: 256 TPU cores. Unknown: learning rate and weight decay, which that paper searched for each method
and gives for MoCo v3 alone (its are used here: 1.5e-4 x batch / 256, .1, 40 epochs of warm-up); the momentum
used there; hours. Deviations as in moco.py.
"""

from __future__ import annotations

from dataclasses import replace

from sightword.config import Config
from sightword.recipes import moco

_OBJECTIVE = "byol(momentum=0.99)"


def byol_vit_s16_imagenet() -> Config:
    """BYOL ViT-S/16, ImageNet-1K, 300 epochs: - / 71.0 / -."""
    return replace(moco.mocov3_vit_s16_imagenet(), objective=_OBJECTIVE)


def byol_vit_b16_imagenet() -> Config:
    """BYOL ViT-B/16, ImageNet-1K, 300 epochs: - / 73.9 / -."""
    return replace(moco.mocov3_vit_b16_imagenet(), objective=_OBJECTIVE)
