"""BEiT's recipes (Bao et al. 2022, arXiv 2106.08254, and the released code with its commands).

Global batch 2048, AdamW (0.9, 0.98), eps 1e-8, weight decay 0.05, cosine 1e-6 -> 1.5e-3 -> 1e-5, gradients
clipped at 3, drop path 0.1, 75 of 196 patches hidden, DALL-E's tokenizer; bf16 where the code has fp16.

    torchrun --nproc-per-node 16 -m sightword train beit-vit-b16-imagenet1k --batch-size 128 \\
        --data 'imagenet1k/{00000..01023}.tar'

Hardware of the paper: 16 V100 of 32 GB. `batch_size` is that of all processes. The tokenizer's weights are
OpenAI's `encoder.pkl`, which the user fetches into the directory where the run is started; give
`--objective "beit(ratio=0.3826)"` to train one on the run's own pictures instead. Deviations: this ViT-B/16
has learned positions and no layer scale, where BEiT's has relative positions and layer scale from 0.1.
"""

from __future__ import annotations

from dataclasses import replace

from sightword.config import Config, DataConfig, ModelConfig, OptimizerConfig
from sightword.recipes import models

_BATCH = 2048
_PICTURES_22K = 14_197_122  # of ImageNet-22k
_HALF = (0.5, 0.5, 0.5)  # its code's normalisation, but for ImageNet-1k


def beit_vit_b16_imagenet1k() -> Config:
    """BEiT ViT-B/16, 800 epochs of ImageNet-1k: fine-tuned 83.2; its linear probe is not in these sources."""
    return _recipe("imagenet1k", epochs=800, warmup=10 / 800, model=_model(models.vit_b16()))


def beit_vit_b16_imagenet22k() -> Config:
    """BEiT ViT-B/16, 150 epochs of ImageNet-22k, 10,000 steps of warm-up: fine-tuned on ImageNet-1k 83.7."""
    base = _model(models.vit_b16())
    model = replace(base, image=replace(base.image, mean=_HALF, std=_HALF))
    return _recipe("imagenet22k", 150, warmup=10_000 * _BATCH / (150 * _PICTURES_22K), model=model)


def _model(model: ModelConfig) -> ModelConfig:
    return replace(model, image=replace(model.image, drop_path=0.1))


def _recipe(data: str, epochs: int, warmup: float, model: ModelConfig) -> Config:
    return Config(
        objective='beit(ratio=0.3826, tokenizer=dvae, weights="encoder.pkl")',
        model=model,
        data=DataConfig(path=data, tokenizer="clip"),
        optimizer=OptimizerConfig(lr=1.5e-3, wd=0.05, warmup=warmup, grad_clip=3.0),
        batch_size=_BATCH,
        epochs=float(epochs),
        precision="bf16",
    )
